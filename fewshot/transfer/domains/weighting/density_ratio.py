"""Relative unconstrained least-squares importance fitting: a density ratio in one linear system.

Kanamori et al. 2009 (uLSIF) and Yamada et al. 2011 (RuLSIF, eq. 6): the ratio p_target / (a p_target + (1 - a)
p_source) as a sum of kernels around items of the target, with ridge penalty; a = 0 is uLSIF, and a > 0 keeps the ratio
below 1/a.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.checks import check_vectors
from fewshot.transfer.domains.distances.kernels import Kernel, kernel_for


def density_ratio_weights(
    source: Tensor,
    target: Tensor,
    relative: float = 0.1,
    ridge: float = 0.1,
    kernel: Kernel | None = None,
    centres: int = 100,
    seed: int = 0,
) -> Tensor:
    """Weights (N,) float64 of source (N, D), zero or more, by the items of target (M, D).

    `relative` in [0, 1) is a, `ridge` the penalty, and kernels sit on `centres` items drawn from the target.
    """
    if not 0 <= relative < 1 or ridge <= 0:
        raise InvalidInput(f"relative must lie in [0, 1) and ridge above 0, found {relative} and {ridge}")
    source, target = check_vectors(source.double(), target.double())
    kernel = kernel or kernel_for("gaussian", source, target)
    drawn = torch.randperm(len(target), generator=torch.Generator().manual_seed(seed))[:centres]
    over_source, over_target = kernel(source, target[drawn]), kernel(target, target[drawn])
    squares = (1 - relative) * over_source.mT @ over_source / len(source)
    squares += relative * over_target.mT @ over_target / len(target)
    theta = torch.linalg.solve(squares + ridge * torch.eye(len(drawn), dtype=torch.float64), over_target.mean(0))
    return (over_source @ theta).clamp(min=0)
