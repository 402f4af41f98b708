"""Expectation maximisation of the target's class shares (Saerens et al. 2002, eq. 2.9)."""

from __future__ import annotations

from torch import Tensor

from fewshot.errors import InvalidInput


def em_shares(
    posteriors: Tensor, source_shares: Tensor, steps: int = 10000, tolerance: float = 1e-10
) -> tuple[Tensor, Tensor]:
    """The class shares of the target (C,), and its posteriors (M, C) under them, both float64.

    posteriors (M, C): p(class | item) of a calibrated classifier trained where the classes have `source_shares` (C,).
    Raises `InvalidInput` for rows that do not sum to 1 or a class without share in the source.
    """
    posteriors, source_shares = posteriors.double(), source_shares.double()
    if bool((posteriors < 0).any()) or bool(((posteriors.sum(1) - 1).abs() > 1e-4).any()):
        raise InvalidInput("posteriors must be zero or more and sum to 1 in each row")
    if bool((source_shares <= 0).any()):
        raise InvalidInput("every class needs a share above zero in the source")
    shares, following = source_shares, adjust(posteriors, source_shares, source_shares)
    for _ in range(steps):
        before, shares = shares, following.mean(0)
        following = adjust(posteriors, source_shares, shares)
        if float((shares - before).abs().max()) <= tolerance:
            break
    return shares, following


def adjust(posteriors: Tensor, source_shares: Tensor, target_shares: Tensor) -> Tensor:
    """Posteriors (M, C) moved from one set of class shares to another: p(c | x) q(c) / p(c), normalised (eq. 2.4)."""
    moved = posteriors * (target_shares / source_shares)
    return moved / moved.sum(1, keepdim=True)
