"""Imbalanced queries: counts of the classes of a task by a Dirichlet distribution."""

import math

import torch
from torch import Tensor

from fewshot.episodes.randomness import Randomness


def imbalanced_counts(random: Randomness, alpha: float, totals: Tensor, room: Tensor) -> Tensor:
    """Split `totals` (T,) among classes that have `room` (T, R), in shares p ~ Dirichlet(alpha, ..., alpha).

    Counts are p * total, rounded by largest remainder (the repair of Veilleux et al. 2021 gives the same). What
    exceeds the room of a class is split in the same way among the classes with room left. A row without room takes
    no part. ->  (T, R), each row summing to its total, which its room must allow.
    """
    weights = gamma(random, alpha, room.shape[1]).clamp(min=torch.finfo(torch.float64).tiny)
    counts = torch.zeros_like(room)
    while bool((left := totals - counts.sum(1)).any()):
        open_weights = weights * (counts < room)
        shares = open_weights / open_weights.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
        counts = (counts + largest_remainder(shares, left)).minimum(room)
    return counts


def largest_remainder(shares: Tensor, totals: Tensor) -> Tensor:
    """Round shares * total down, and give what is left to the largest fractions; shares (T, R) sum to 1."""
    exact = shares * totals.unsqueeze(1)
    counts = exact.floor().long()
    rank = (counts - exact).argsort(stable=True).argsort(stable=True)
    return counts + (rank < (totals - counts.sum(1)).unsqueeze(1))


def gamma(random: Randomness, alpha: float, width: int) -> Tensor:
    """Numbers of the Gamma(alpha, 1) distribution, (T, width), by the rejection of Marsaglia and Tsang (2000).

    Below alpha = 1: Gamma(alpha + 1) * U^(1/alpha).
    """
    if alpha < 1:
        return gamma(random, alpha + 1, width) * random.uniform("boost", width) ** (1 / alpha)
    d = alpha - 1 / 3
    result = torch.full((len(random.tasks), width), torch.nan, dtype=torch.float64)
    attempt = 0
    while bool(result.isnan().any()):
        radius, angle, accept = random.uniform(f"gamma {attempt}", width, 3).unbind(-1)
        normal = (-2 * torch.log1p(-radius)).sqrt() * (2 * math.pi * angle).cos()
        v = (1 + normal / math.sqrt(9 * d)) ** 3
        good = (v > 0) & (accept.log() < normal**2 / 2 + d - d * v + d * v.clamp(min=1e-300).log())
        result = torch.where(result.isnan() & good, d * v, result)
        attempt += 1
    return result
