"""What an evaluation of a classifier found: accuracy with its interval, who is taken for whom, and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mistake:
    """An item that was taken for another class: its id, both classes, and the confidence in the wrong one."""

    item: str
    name: str | int
    predicted: str | int
    confidence: float


@dataclass(frozen=True)
class ClassifierEvaluation:
    """How well a classifier does on images like those it learns from.

    protocol: in words, how images were held out. accuracy in [0, 1], with `interval`, its 95 % interval (low, high).
    classes (C,): their names; confusion (C, C) int64: row, the class of an image; column, what it was taken for; all
    predictions count. untested: classes with a single image, which can't be left out.
    ece_before, ece_after: expected calibration error of the confidence without and with its temperature, which is
    fitted to other images than it is used on.
    learner, backbone: what they are; reason: why this learner. mistakes: surest first. settings: how often and by what
    seed it was split. seconds: without making the features.
    """

    protocol: str
    accuracy: float
    interval: tuple[float, float]
    items: int
    classes: tuple[str | int, ...]
    confusion: Tensor
    ece_before: float
    ece_after: float
    untested: tuple[str | int, ...]
    mistakes: tuple[Mistake, ...]
    learner: Mapping[str, Any]
    reason: str
    backbone: Mapping[str, Any]
    settings: Mapping[str, Any]
    seconds: float

    @property
    def recall(self) -> Tensor:
        """The share (C,) of each class's images that was recognised, NaN for a class that could not be tested."""
        return self.confusion.diagonal().double() / self.confusion.sum(1)

    def most_confused(self, count: int = 10) -> list[tuple[str | int, str | int, float, int]]:
        """(class, taken for, share of the class, times) of the pairs with the largest share, at most `count`."""
        wrong = self.confusion.clone().fill_diagonal_(0)
        share = (wrong.double() / self.confusion.sum(1, keepdim=True)).nan_to_num()
        best = share.flatten().argsort(descending=True, stable=True)[:count].tolist()
        pairs = [divmod(place, len(self.classes)) for place in best]
        return [
            (self.classes[row], self.classes[column], float(share[row, column]), int(wrong[row, column]))
            for row, column in pairs
            if wrong[row, column]
        ]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.accuracy:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f}; {self.protocol})"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON; None where a number does not exist."""
        recall = self.recall
        return {
            "protocol": self.protocol,
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
            "items": self.items,
            "classes": list(self.classes),
            "recall": [None if value != value else round(value, 6) for value in recall.tolist()],
            "confusion": self.confusion.tolist(),
            "most_confused": [
                {"class": name, "taken_for": other, "share": round(share, 6), "times": times}
                for name, other, share, times in self.most_confused()
            ],
            "calibration": {"expected_error_before": self.ece_before, "expected_error_after": self.ece_after},
            "untested": list(self.untested),
            "mistakes": [vars(mistake) for mistake in self.mistakes],
            "learner": dict(self.learner),
            "reason": self.reason,
            "backbone": dict(self.backbone),
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }


def count_confusions(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """(C, C) int64: how often an item of the class of the row was taken for that of the column."""
    places = labels * classes + predicted
    return torch.bincount(places, minlength=classes * classes).reshape(classes, classes)
