"""Classes near each other, for tasks that are harder than those of random classes."""

import torch
from torch import Tensor

from fewshot.episodes.randomness import Randomness


def near_classes(random: Randomness, distance: Tensor, eligible: Tensor, count: int, nearness: float) -> Tensor:
    """`count` different classes near a random one, (T, count), after Bennequin et al. 2022 (arXiv 2205.05155).

    The first class is drawn uniformly from `eligible` (C',). The others follow one after another without replacement,
    class c with probability proportional to exp(-nearness * d(first, c) / m), where d is `distance` (C, C) and m its
    mean over pairs of different eligible classes. Such a draw is a race: each class arrives after an exponential time
    of that rate, and the earliest win.
    """
    among = distance[eligible][:, eligible]
    apart = among[~torch.eye(len(among), dtype=torch.bool)].mean().clamp(min=torch.finfo(among.dtype).tiny)
    first = random.below("first class", torch.tensor(len(eligible)))
    waiting = random.uniform("near classes", len(eligible)).log().neg().log()
    arrival = waiting + nearness * among[first] / apart
    arrival.scatter_(1, first.unsqueeze(1), -torch.inf)
    return eligible[arrival.argsort(stable=True)[:, :count]]
