"""KLIEP: the density ratio that brings the source nearest to the target in Kullback-Leibler divergence.

Sugiyama et al. 2008, Direct importance estimation with model selection, eq. 8 to 10: the ratio is a non-negative
mixture of kernels around items of the target; the mean of its logarithm over the target is maximal, its mean over the
source 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.transfer.domains.checks import check_vectors
from fewshot.transfer.domains.distances.kernels import Kernel, kernel_for


def kliep_weights(
    source: Tensor, target: Tensor, kernel: Kernel | None = None, centres: int = 100, seed: int = 0
) -> Tensor:
    """Weights (N,) float64 of source (N, D), of mean 1, by the items of target (M, D).

    Kernels sit on `centres` items drawn from the target; by default they are Gaussian with the median distance.
    """
    source, target = check_vectors(source.double(), target.double())
    kernel = kernel or kernel_for("gaussian", source, target)
    drawn = torch.randperm(len(target), generator=torch.Generator().manual_seed(seed))[:centres]
    over_source, over_target = kernel(source, target[drawn]), kernel(target, target[drawn])
    return over_source @ solve(over_target, over_source.mean(0))


def solve(over_target: Tensor, source_mean: Tensor, steps: int = 10000, tolerance: float = 1e-10) -> Tensor:
    """The a >= 0 with mean(log(over_target a)) maximal and source_mean'a = 1, for over_target (M, C), source_mean (C,).

    Multiplied at each step by its gradient over the source's mean, as in expectation maximisation of a mixture's
    shares: the objective never falls and the constraint holds throughout.
    """
    alpha = torch.ones_like(source_mean) / source_mean.sum()
    for _ in range(steps):
        gradient = (over_target / (over_target @ alpha)[:, None]).mean(0)
        gain = gradient / source_mean
        alpha = alpha * gain
        # at the optimum no kernel gains more than 1, and those that are used gain exactly that
        if float(gain.max()) <= 1 + tolerance:
            break
    return alpha
