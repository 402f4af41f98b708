"""How far two rankings agree: Spearman's rho and Kendall's weighted tau."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fewshot.errors import InvalidInput, MissingPackage


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of the ranks, in [-1, 1]; NaN where one of them has no order, being all the same."""
    a, b = _checked(a, b)
    if _flat(a) or _flat(b):
        return math.nan
    return float(_stats().spearmanr(a, b).statistic)


def weighted_tau(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's tau in which a swap among the best counts most (Vigna 2015), as the field reports; NaN as above."""
    a, b = _checked(a, b)
    if _flat(a) or _flat(b):
        return math.nan
    return float(_stats().weightedtau(a, b).statistic)


def _checked(a: Sequence[float], b: Sequence[float]) -> tuple[list[float], list[float]]:
    if len(a) != len(b) or len(a) < 2:
        raise InvalidInput(f"two rankings must be of the same sources, two or more, found {len(a)} and {len(b)}")
    if not all(map(math.isfinite, (*a, *b))):
        raise InvalidInput("rankings must be of finite numbers; leave out the sources that have none")
    return list(a), list(b)


def _flat(values: Sequence[float]) -> bool:
    return min(values) == max(values)


def _stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise MissingPackage("scipy", "the agreement of rankings") from None
    return stats
