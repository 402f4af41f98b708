"""Kernel mean matching: weights under which the source's mean in the kernel's space is the target's.

Huang et al. 2006, Correcting sample selection bias by unlabeled data, eq. 5: min ½ w'Kw - k'w, 0 <= w <= B,
|mean(w) - 1| <= e, with K the kernel of the source and k_i = N/M sum_j k(source_i, target_j).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fewshot.transfer.domains.checks import check_vectors
from fewshot.transfer.domains.distances.kernels import Kernel, kernel_for


def kmm_weights(
    source: Tensor, target: Tensor, kernel: Kernel | None = None, most: float = 1000.0, slack: float | None = None
) -> Tensor:
    """Weights (N,) float64 of source (N, D), at most `most` each, with a mean within `slack` of 1.

    By default a Gaussian kernel with the median distance, and slack (sqrt(N) - 1) / sqrt(N) as in the paper.
    """
    source, target = check_vectors(source.double(), target.double())
    kernel = kernel or kernel_for("gaussian", source, target)
    count = len(source)
    slack = (math.sqrt(count) - 1) / math.sqrt(count) if slack is None else slack
    matrix = kernel(source, source)
    pull = kernel(source, target).sum(1) * (count / len(target))
    return _solve(matrix, pull, most, count * (1 - slack), count * (1 + slack))


def kmm_objective(weights: Tensor, matrix: Tensor, pull: Tensor) -> Tensor:
    """What `kmm_weights` makes small: ½ w'Kw - k'w of weights (N,), kernel matrix (N, N) and pull k (N,)."""
    return weights @ matrix @ weights / 2 - pull @ weights


def _solve(matrix: Tensor, pull: Tensor, most: float, low: float, high: float, steps: int = 5000) -> Tensor:
    """Accelerated projected gradient with restarts, until a step no longer changes the weights."""
    rate = 1 / float(torch.linalg.matrix_norm(matrix, 1))
    weights = ahead = project(torch.ones(len(pull), dtype=torch.float64), most, low, high)
    pace = 1.0
    for _ in range(steps):
        moved = project(ahead - rate * (matrix @ ahead - pull), most, low, high)
        change = moved - weights
        if float(change.norm()) <= 1e-9 * float(1 + weights.norm()):
            return moved
        if float((ahead - moved) @ change) > 0:  # the momentum points uphill: start it anew
            pace = 1.0
        following = (1 + math.sqrt(1 + 4 * pace**2)) / 2
        weights, ahead, pace = moved, moved + (pace - 1) / following * change, following
    return weights


def project(weights: Tensor, most: float, low: float, high: float) -> Tensor:
    """The nearest weights in [0, most] with a sum in [low, high]: all are moved by one amount, then cut."""
    cut = weights.clamp(0, most)
    total = float(cut.sum())
    if low <= total <= high:
        return cut
    wanted = low if total < low else high
    left, right = float(-weights.max()), float(most - weights.min())  # all zero; all at most
    for _ in range(100):
        middle = (left + right) / 2
        if float((weights + middle).clamp(0, most).sum()) < wanted:
            left = middle
        else:
            right = middle
    return (weights + right).clamp(0, most)
