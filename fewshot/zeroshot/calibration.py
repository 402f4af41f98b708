"""Probabilities that are what they say: scaling of logits fitted on labelled items, and what it does to the ECE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics import calibration_error, platt_scaling, temperature_scaling

_FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """Probabilities are the softmax, or for several labels the sigmoid, of logits / `temperature` + `bias`.

    Fitted on all `items`. `ece_before` and `ece_after` are expected calibration errors in [0, 1]; for the one after,
    the probabilities of each fifth of the items, drawn at random, are scaled as the other items say.
    """

    temperature: float
    bias: float
    ece_before: float
    ece_after: float
    items: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def calibrate(logits: Tensor, labels: Tensor) -> Calibration:
    """Temperature scaling (Guo et al. 2017) of logits (N, C) for one label (N,) an item."""

    def fit(logits: Tensor, labels: Tensor) -> tuple[float, float]:
        return temperature_scaling(logits, labels), 0.0

    def error(logits: Tensor, labels: Tensor) -> float:
        return calibration_error(logits.double().softmax(1)[None], labels[None])

    return _calibrate(logits, labels, fit, error)


def calibrate_each(logits: Tensor, targets: Tensor) -> Calibration:
    """Platt scaling of logits (N, C) for several labels an item: targets (N, C) bool; one line for all classes."""

    def fit(logits: Tensor, targets: Tensor) -> tuple[float, float]:
        slope, bias = platt_scaling(logits.flatten(), targets.flatten())
        if slope <= 0:
            raise InvalidInput("the scores do not rise with the labels, so no scaling makes probabilities of them")
        return 1 / slope, bias

    def error(logits: Tensor, targets: Tensor) -> float:
        chances = logits.double().sigmoid().flatten()
        return calibration_error(torch.stack([1 - chances, chances], 1)[None], targets.flatten().long()[None])

    return _calibrate(logits, targets, fit, error)


def _calibrate(
    logits: Tensor,
    labels: Tensor,
    fit: Callable[[Tensor, Tensor], tuple[float, float]],
    error: Callable[[Tensor, Tensor], float],
) -> Calibration:
    count = len(logits)
    if count < _FOLDS:
        raise InvalidInput(f"calibration needs {_FOLDS} labelled items or more, found {count}")
    fold = torch.randperm(count, generator=torch.Generator().manual_seed(0)).to(logits.device) % _FOLDS
    scaled = torch.empty_like(logits, dtype=torch.float64)
    for held in range(_FOLDS):
        temperature, bias = fit(logits[fold != held], labels[fold != held])
        scaled[fold == held] = logits[fold == held].double() / temperature + bias
    return Calibration(*fit(logits, labels), error(logits, labels), error(scaled, labels), count)
