"""The inverse power law of learning curves, err(n) = a + b n^-c, fitted within bounds (Figueroa et al. 2012)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import InvalidInput

RATES = np.geomspace(0.05, 3.0, 300)  # of c: below there is no fall to be told from a line, above no tail
STEP = RATES[1] / RATES[0]


@dataclass(frozen=True)
class PowerLaw:
    """The error after n shots, `floor` + `scale` * n ** -`rate`, in [0, 1]."""

    floor: float
    scale: float
    rate: float

    def error(self, shots: float) -> float:
        """The share of mistakes expected after `shots` labels a class."""
        return self.floor + self.scale * shots**-self.rate

    def shots_for(self, error: float) -> float:
        """The shots after which the error is as low as `error`; infinity where the floor is above it."""
        if error <= self.floor:
            return math.inf
        return 0.0 if self.scale == 0 else (self.scale / (error - self.floor)) ** (1 / self.rate)


def fit_power_law(shots: Sequence[int], errors: Tensor) -> list[PowerLaw]:
    """The best curve of each row of `errors` (rows, shots): least squares, a point weighing more the later it is.

    The weight of point j is j, as Figueroa et al. (2012, Predicting sample size required for classification
    performance) weigh it. The bounds are 0 <= floor <= 1, scale >= 0 and rate in [0.05, 3]: for each of 300 rates, and
    then of 41 around the best, floor and scale follow in closed form, so that there is no start to choose and no local
    optimum. Raises `InvalidInput` for fewer than three points, which a curve of three numbers needs, or errors
    outside [0, 1].
    """
    errors = torch.as_tensor(errors, dtype=torch.float64)
    if errors.ndim != 2 or errors.shape[1] != len(shots) or len(errors) == 0:
        raise InvalidInput(f"errors must be (rows, {len(shots)}), a column a number of shots, found {errors.shape}")
    if len(set(shots)) < 3:
        raise InvalidInput(f"a power law needs three numbers of shots or more, found {list(shots)}; measure another")
    if not bool(((errors >= 0) & (errors <= 1)).all()):
        raise InvalidInput("errors must lie between 0 and 1; pass 1 - accuracy")
    weights = np.arange(1, len(shots) + 1) / np.arange(1, len(shots) + 1).sum()
    rates = RATES[None]
    for _ in range(2):  # the second time between the neighbours of the best
        floor, scale, best = _best(np.asarray(shots, dtype=float), errors.numpy(), weights, rates)
        rates = (best[:, None] * STEP ** np.linspace(-1, 1, 41)).clip(RATES[0], RATES[-1])
    return [PowerLaw(*numbers) for numbers in zip(floor.tolist(), scale.tolist(), best.tolist(), strict=True)]


def _best(
    shots: np.ndarray, errors: np.ndarray, weights: np.ndarray, rates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floor, scale and rate (rows,) of the best among `rates` (rows or 1, R)."""
    basis = shots ** -rates[..., None]
    floor, scale = _line(basis, errors[:, None], weights)
    gaps = floor[..., None] + scale[..., None] * basis - errors[:, None]
    place = (gaps**2 @ weights).argmin(1)
    rows = np.arange(len(errors))
    return floor[rows, place], scale[rows, place], np.broadcast_to(rates, floor.shape)[rows, place]


def _line(basis: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floor and scale (rows, R) of the line through `basis` (rows or 1, R, shots) nearest to `errors` (rows, 1, shots).

    Least squares within the bounds: a negative floor becomes 0, and a line that would rise becomes level.
    """
    mean_x, mean_y = basis @ weights, errors @ weights
    product, square = (errors * basis) @ weights, basis**2 @ weights
    scale = (product - mean_y * mean_x) / (square - mean_x**2)
    floor = mean_y - scale * mean_x
    below, falling = floor < 0, scale > 0
    scale = np.where(falling, np.where(below, product / square, scale), 0.0)
    return np.where(falling, np.where(below, 0.0, floor), mean_y), scale
