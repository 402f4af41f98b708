"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from fewshot.metrics import ClassScores, Interval, ReliabilityBins, accuracy_interval


@dataclass(frozen=True)
class Evaluation:
    """The scores of one learner over T episodes of one table.

    learner: what it is and assumes, as `Learner.facts` says.
    per_episode: accuracy (T,) of each episode, float64 in [0, 1]; top_k: the same for each k asked.
    per_class: precision, recall and F1 of each class of the table, in the order of `class_names`.
    calibration: predictions counted by confidence; `calibration.expected_error` is the ECE.
    seconds: from the features to these scores; settings: how the episodes were drawn, device and chunk.
    """

    learner: dict[str, Any]
    per_episode: Tensor
    top_k: dict[int, Tensor]
    per_class: ClassScores
    class_names: tuple[str, ...]
    calibration: ReliabilityBins
    seconds: float
    settings: dict[str, Any]

    @cached_property
    def interval(self) -> Interval:
        """Mean accuracy with its 95 % t-interval over episodes."""
        return accuracy_interval(self.per_episode)

    @property
    def accuracy(self) -> float:
        """Mean accuracy over episodes, in [0, 1]."""
        return self.interval.mean

    @property
    def ci95(self) -> float:
        """Half the width of the 95 % interval; NaN for a single episode."""
        return self.interval.half_width

    def __str__(self) -> str:
        return f"{100 * self.accuracy:.2f} ± {100 * self.ci95:.2f} % ({self.interval.count} episodes)"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON: lists to six decimals, None where a number does not exist."""
        scores = self.per_class
        return {
            "learner": self.learner,
            **_mean(self.per_episode),
            "episodes": len(self.per_episode),
            "per_episode": _numbers(self.per_episode),
            "top_k": {str(k): _mean(found) for k, found in self.top_k.items()},
            "per_class": {
                "names": list(self.class_names),
                "precision": _numbers(scores.precision),
                "recall": _numbers(scores.recall),
                "f1": _numbers(scores.f1),
                "queries": scores.queries.tolist(),
            },
            "calibration": {
                "expected_error": self.calibration.expected_error,
                "counts": self.calibration.counts.tolist(),
                "accuracies": _numbers(self.calibration.accuracies),
                "confidences": _numbers(self.calibration.confidences),
            },
            "seconds": self.seconds,
            "settings": self.settings,
        }


def _mean(per_episode: Tensor) -> dict[str, float | None]:
    interval = accuracy_interval(per_episode)
    return {"accuracy": interval.mean, "ci95": interval.half_width if interval.count > 1 else None}


def _numbers(values: Tensor) -> list[float | None]:
    return [None if value != value else round(value, 6) for value in values.tolist()]
