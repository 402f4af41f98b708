"""Multinomial logistic regression on thousands of items a task, whose spread is known beforehand."""

from functools import partial

import torch
from torch import Tensor

from fewshot.learners.iteration import until_settled

TOLERANCE = 1e-2  # of the distance to the optimum, in standard deviations of the weights given the items
LOOKS = 2  # Newton steps along a line


def logistic_of_many(
    rows: Tensor, targets: Tensor, variances: Tensor, C: float, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise C * log loss + |weight|² / 2, where the rows are many more than `logistic` can take.

    rows (T, N, D), targets (T, W, N) one-hot, both zero for padding -> weight (T, W, D), bias (T, W, 1),
    converged (T,). variances (D,): about what rows of one class vary along each axis, which had better be
    uncorrelated.

    Conjugate gradients (Polak and Ribière), with Newton's method along each line. They are preconditioned with a
    curvature that is guessed from the variances: only the number of steps hangs on that.
    """
    absent = targets.sum(2, keepdim=True) == 0
    sums = torch.cat([targets @ rows, targets.sum(2, keepdim=True)], 2)
    scores = torch.zeros_like(targets).masked_fill(absent, -torch.inf)
    weight = rows.new_zeros(*targets.shape[:2], rows.shape[2] + 1)  # and, last, the bias
    state = [weight, scores, weight, weight, torch.ones_like(weight[:, :1, :1])]
    step = partial(_step, C, variances)
    (weight, *_), converged = until_settled(step, [rows, targets, sums], state, steps, TOLERANCE)
    return weight[..., :-1], weight[..., -1:], converged


def _step(
    C: float,
    variances: Tensor,
    rows: Tensor,
    targets: Tensor,
    sums: Tensor,
    weight: Tensor,
    scores: Tensor,
    old: Tensor,
    way: Tensor,
    old_size: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """The next weight and scores, the gradient and way that led there, and how far the optimum was."""
    real = targets.sum(1, keepdim=True)
    likely = scores.softmax(1)
    residual = (likely * real).sub_(targets)
    gradient = C * torch.cat([residual @ rows, residual.sum(2, keepdim=True)], 2) + _penalised(weight)
    curving = C * (likely @ real.mT - likely.square() @ real.mT).clamp(min=0)
    # rows that curve are those between the classes where these lie apart, and all rows of the class where they do not
    count = sums[..., -1:].clamp(min=1)
    middle = (curving / (C * count)).clamp(max=1) * sums[..., :-1] / count
    newton = _newton(gradient, middle, curving, variances)
    size = _dot(gradient, newton)
    turn = ((size - _dot(old, newton)) / old_size.clamp(min=1e-30)).clamp(min=0)
    way = turn * way - newton
    way = torch.where(_dot(way, gradient) < 0, way, -newton)
    reach = way[..., :-1] @ rows.mT + way[..., -1:]
    slope, bend = _dot(_penalised(weight) - C * sums, way), _dot(_penalised(way), way)
    length = torch.zeros_like(size)
    for look in range(LOOKS):
        if look:
            likely = torch.addcmul(scores, length, reach).softmax(1)
        pull = likely.mul_(reach)
        mean = pull.sum(1, keepdim=True)
        along = slope + length * bend + C * mean @ real.mT
        curve = bend + C * (pull.mul_(reach).sum(1, keepdim=True) - mean * mean) @ real.mT
        length = length - along / curve.clamp(min=1e-30)
    return [weight + length * way, torch.addcmul(scores, length, reach), gradient, way, size], size.sqrt().flatten()


def _newton(gradient: Tensor, middle: Tensor, curving: Tensor, variances: Tensor) -> Tensor:
    """The gradient by the inverse of the curvature (T, W) of rows around a middle (T, W, D) for each class."""
    bias = gradient[..., -1:]
    weight = (gradient[..., :-1] - bias * middle) / (1 + curving * variances)
    bias = bias / curving.clamp(min=1e-12) - (weight * middle).sum(2, keepdim=True)
    return torch.cat([weight, bias], 2)


def _penalised(weight: Tensor) -> Tensor:
    """The weight without the bias, its last entry."""
    return torch.cat([weight[..., :-1], torch.zeros_like(weight[..., -1:])], 2)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum((1, 2), keepdim=True)
