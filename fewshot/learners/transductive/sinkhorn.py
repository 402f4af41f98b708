"""Optimal transport between queries and classes with an entropy term (Cuturi 2013, algorithm 1)."""

from functools import partial

import torch
from torch import Tensor

from fewshot.learners.iteration import until_settled
from fewshot.learners.precision import in_float64

_LOWEST = -300.0  # of an exponent in float64: what is less likely is as good as impossible


def sinkhorn(
    scores: Tensor, mass: Tensor, real: Tensor, tolerance: float = 1e-6, steps: int = 1000, at_least: bool = False
) -> Tensor:
    """The assignment closest to exp(scores) whose rows sum to 1 and whose columns sum to `mass`.

    scores (T, Q, W), such as minus lambda times squared distances; mass (T, W), zero for absent classes, with the
    number of real queries as its sum; real (T, Q, 1), zero for padding. Computed in float64 where the device has it,
    with the largest score of each row as zero, so that no row vanishes. A task stops by itself, when no row sum is
    further than `tolerance` from 1, or after `steps`. at_least: columns are only raised to `mass`, where they lack it
    (Hu et al. 2022, algorithm 1).

    Returns (T, Q, W) of the type of scores, rows of zeros for padding; columns are exact, rows within the tolerance.
    """
    kind = scores.dtype
    scores, mass, real = in_float64(scores), in_float64(mass), in_float64(real)
    scores = scores.masked_fill((mass <= 0)[:, None], -torch.inf)
    scores = scores - scores.amax(2, keepdim=True).nan_to_num(neginf=0.0)
    kernel = scores.clamp(min=_LOWEST if scores.dtype == torch.float64 else -80.0).exp() * real
    kernel = kernel * (mass > 0)[:, None]
    mass = mass[..., None]
    columns = (mass > 0).to(kernel.dtype)
    start = [real, columns, kernel @ columns]
    step = partial(_step, at_least)
    (rows, columns, _), _ = until_settled(step, [kernel, mass, real], start, steps, tolerance, look=5)
    return (kernel * rows * columns.mT).to(kind)


def _step(
    at_least: bool, kernel: Tensor, mass: Tensor, real: Tensor, rows: Tensor, columns: Tensor, sums: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Scale rows (T, Q, 1), then columns (T, W, 1); the change is how far a row sum then is from 1.

    sums: of the rows (T, Q, 1), with the columns scaled.
    """
    tiny = torch.finfo(kernel.dtype).tiny
    rows = real / sums.clamp(min=tiny)
    scaled = mass / (kernel.mT @ rows).clamp(min=tiny)
    columns = torch.maximum(columns, scaled) if at_least else scaled
    sums = kernel @ columns
    return [rows, columns, sums], (rows * sums - real).abs().amax((1, 2))
