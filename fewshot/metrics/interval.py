"""Means over tasks with their confidence interval, and the paired test between two methods on the same tasks."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import InvalidInput


@dataclass(frozen=True)
class Interval:
    """A mean over `count` tasks and the half-width of its confidence interval; std is the sample's (n - 1).

    With one task alone `half_width` and `std` are NaN: nothing is known of the spread.
    """

    mean: float
    half_width: float
    count: int
    std: float
    confidence: float = 0.95

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.half_width:.4f}"


@dataclass(frozen=True)
class PairedTest:
    """The mean difference a - b over the same tasks, its interval, and the two-sided p-value of no difference."""

    difference: Interval
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether p is below 1 - confidence, that is, whether the interval leaves out zero."""
        return self.p_value < 1 - self.difference.confidence


def accuracy_interval(per_episode: Tensor, confidence: float = 0.95) -> Interval:
    """The mean of one number a task, (T,), with Student's t interval over tasks: mean ± t * std / sqrt(T)."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence must lie between 0 and 1, found {confidence}")
    values = _one_a_task("per_episode", per_episode)
    count = len(values)
    std = values.std().item() if count > 1 else math.nan
    half_width = t_quantile(confidence, count - 1) * std / math.sqrt(count) if count > 1 else math.nan
    return Interval(values.mean().item(), half_width, count, std, confidence)


def paired_test(a: Tensor, b: Tensor, confidence: float = 0.95) -> PairedTest:
    """The paired t-test of two methods scored on the same tasks, both (T,) in the same order.

    p is NaN for a single task; where all differences are equal it is 1 if they are 0 and else 0.
    """
    a, b = _one_a_task("a", a), _one_a_task("b", b)
    if len(a) != len(b):
        raise InvalidInput(f"a and b must score the same tasks, found {len(a)} and {len(b)}")
    difference = accuracy_interval(a - b, confidence)
    if difference.count < 2:
        return PairedTest(difference, math.nan)
    if difference.std == 0:
        return PairedTest(difference, float(difference.mean == 0))
    t = difference.mean / difference.std * math.sqrt(difference.count)
    return PairedTest(difference, t_tails(t, difference.count - 1))


def t_quantile(confidence: float, df: int) -> float:
    """The t for which a Student variable of `df` degrees of freedom lies in [-t, t] with probability `confidence`."""
    low, high = 0.0, _reach(df)
    whole = _t_mass(low, high, df)
    for _ in range(60):
        middle = (low + high) / 2
        if _t_mass(middle, _reach(df), df) > (1 - confidence) * whole:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan(low)


def t_tails(t: float, df: int) -> float:
    """The probability that a Student variable of `df` degrees of freedom is further from 0 than t."""
    angle = min(math.atan(abs(t) / math.sqrt(df)), _reach(df))
    return _t_mass(angle, _reach(df), df) / _t_mass(0.0, _reach(df), df)


def _reach(df: int) -> float:
    """The angle beyond which there is nothing to integrate: 20 standard deviations, or all of them."""
    return min(math.pi / 2, 20 / math.sqrt(df))


def _t_mass(low: float, high: float, df: int) -> float:
    """Student's density between two angles, up to a constant factor.

    With t = sqrt(df) tan(angle) the density of the angle is proportional to cos(angle)^(df - 1), which a
    Gauss-Legendre rule integrates to the last digits for every df.
    """
    nodes, weights = _gauss_legendre()
    angles = low + (high - low) * (nodes + 1) / 2
    return (high - low) / 2 * float((weights * np.cos(angles) ** (df - 1)).sum())


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(100)


def _one_a_task(name: str, values: Tensor) -> Tensor:
    values = torch.as_tensor(values, dtype=torch.float64)
    if values.ndim != 1 or len(values) == 0:
        raise InvalidInput(f"{name} must be one number a task, at least one, found shape {tuple(values.shape)}")
    if not bool(values.isfinite().all()):
        raise InvalidInput(
            f"{name} must be finite, found NaN or infinity for task {int((~values.isfinite()).nonzero()[0])}"
        )
    return values
