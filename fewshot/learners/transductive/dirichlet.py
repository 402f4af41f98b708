"""Dirichlet densities on the simplex, and their maximum-likelihood parameters."""

import torch
from torch import Tensor

from fewshot.learners.chunks import chunks
from fewshot.learners.iteration import until_settled

_MOST = 1e6  # sum of the parameters: items that are all alike have no maximum
_STEPS = 100
_TOLERANCE = 1e-8  # of the parameters, relative
_SLACK = 1e-12  # of the likelihood, relative: its rounding


def log_density(logs: Tensor, alpha: Tensor, real: Tensor) -> Tensor:
    """The log density (T, Q, W) of items with logarithms (T, Q, D) under parameters alpha (T, W, D).

    real (T, W, D) is false for parameters that do not count; these are 1.
    """
    return _log_normaliser(alpha, real)[:, None] + logs @ (alpha - 1).mT


def fit_dirichlet(mean_logs: Tensor, real: Tensor, start: Tensor | None = None) -> Tensor:
    """The parameters (T, W, D) under which logarithms with the means (T, W, D) are likeliest.

    start: parameters to go from, ones by default; it takes fewer steps from those of similar means.

    A step is Newton's (Minka 2000, Estimating a Dirichlet distribution) or, where that does not climb, one to a quarter
    or, where neither does, the one to the maximum of a lower bound, which always does (Martin et al. 2024, who take a
    thousand of these). The likelihood has one maximum, whatever the start. Where the items of a class are all alike it
    has none: the parameters then stop at a sum of a million.
    """
    first = torch.ones_like(mean_logs) if start is None else start
    classes = [part.flatten(0, 1) for part in (mean_logs, real, first)]  # each stops by itself
    found = [_fit(*(each[part] for each in classes)) for part in chunks(classes[0])]
    return torch.cat(found).view_as(mean_logs)


def _fit(mean_logs: Tensor, real: Tensor, first: Tensor) -> Tensor:
    (alpha,), _ = until_settled(_step, [mean_logs, real], [first], _STEPS, _TOLERANCE)
    return alpha


def _step(mean_logs: Tensor, real: Tensor, alpha: Tensor) -> tuple[list[Tensor], Tensor]:
    reached = _likelihood(mean_logs, alpha, real)
    least = reached - _SLACK * reached.abs()
    following, found = alpha, torch.zeros_like(reached, dtype=torch.bool)
    for way in (_newton, _quarter, _maximum_of_bound):
        tried = torch.where(real, way(mean_logs, alpha, real), 1)
        climbs = (tried > 0).all(1) & (_likelihood(mean_logs, tried.abs(), real) >= least)
        following = torch.where((climbs & ~found)[..., None], tried, following)
        found |= climbs
        if found.all():
            break
    following = torch.where(real, following * (_MOST / _total(following, real)).clamp(max=1), 1)
    return [following], (following - alpha).norm(dim=1) / alpha.norm(dim=1)


def _newton(mean_logs: Tensor, alpha: Tensor, real: Tensor) -> Tensor:
    """The Hessian is diagonal but for a constant, so its inverse needs two sums."""
    total = _total(alpha, real)
    gradient = total.digamma() - alpha.digamma() + mean_logs
    curvature, common = torch.polygamma(1, alpha), torch.polygamma(1, total)
    slope, room = ((part / curvature * real).sum(-1, keepdim=True) for part in (gradient, torch.ones_like(gradient)))
    shift = common * slope / (1 - common * room).clamp(min=1e-30)
    return alpha + (gradient + shift) / curvature


def _quarter(mean_logs: Tensor, alpha: Tensor, real: Tensor) -> Tensor:
    """From parameters far above the likeliest, Newton's step goes below zero and the bound's is short."""
    return alpha / 4


def _maximum_of_bound(mean_logs: Tensor, alpha: Tensor, real: Tensor) -> Tensor:
    """The sum's term is bounded by its tangent, log Gamma(alpha + 1) by a parabola through 0 that touches it."""
    digamma = (alpha + 1).digamma()
    curvature = 2 * (alpha * digamma - (alpha + 1).lgamma()) / alpha.square()
    slope = digamma - _total(alpha, real).digamma() - curvature * alpha - mean_logs
    return ((slope.square() + 4 * curvature).sqrt() - slope) / (2 * curvature)


def _likelihood(mean_logs: Tensor, alpha: Tensor, real: Tensor) -> Tensor:
    return _log_normaliser(alpha, real) + ((alpha - 1) * mean_logs).sum(-1)


def _log_normaliser(alpha: Tensor, real: Tensor) -> Tensor:
    return _total(alpha, real)[..., 0].lgamma() - alpha.lgamma().sum(-1)


def _total(alpha: Tensor, real: Tensor) -> Tensor:
    return (alpha * real).sum(-1, keepdim=True).clamp(min=1e-30)
