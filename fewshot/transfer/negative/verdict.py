"""Does the source help, hurt, or can't it be told: paired intervals over draws, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics import Interval, PairedTest, accuracy_interval, paired_test


@dataclass(frozen=True, eq=False)
class TransferCheck:
    """Accuracy (draws,) of each way to learn the target, in [0, 1] on the same draws; the first is with the source.

    A verdict asks for `confidence` over all comparisons at once (Bonferroni). The draws come from one pool of images:
    it holds for these images and this number of shots.
    """

    accuracy: Mapping[str, Tensor]
    confidence: float = 0.95

    def __post_init__(self) -> None:
        counts = {len(values) for values in self.accuracy.values()}
        if len(self.accuracy) < 2 or len(counts) != 1 or counts.pop() < 2:
            raise InvalidInput(
                "a check needs the source and an alternative to it, with the same two draws or more each, found "
                + (", ".join(f"{len(values)} of {name}" for name, values in self.accuracy.items()) or "none")
            )

    @property
    def source(self) -> str:
        """The way that uses the source."""
        return next(iter(self.accuracy))

    @property
    def intervals(self) -> dict[str, Interval]:
        """The mean of each way with its interval."""
        return {name: accuracy_interval(values) for name, values in self.accuracy.items()}

    @property
    def gains(self) -> dict[str, PairedTest]:
        """The source less each alternative, at a confidence that holds for all of them together."""
        alternatives = {name: values for name, values in self.accuracy.items() if name != self.source}
        confidence = 1 - (1 - self.confidence) / len(alternatives)
        source = self.accuracy[self.source]
        return {name: paired_test(source, values, confidence) for name, values in alternatives.items()}

    @property
    def best(self) -> str:
        """The way of the highest mean."""
        return max(self.accuracy, key=lambda name: float(self.accuracy[name].double().mean()))

    @property
    def verdict(self) -> Literal["helps", "hurts", "can't be told"]:
        """Helps where it beats every alternative beyond doubt, hurts where one beats it beyond doubt."""
        sure = {name: gain.difference.mean for name, gain in self.gains.items() if gain.significant}
        if any(difference < 0 for difference in sure.values()):
            return "hurts"
        return "helps" if len(sure) == len(self.gains) else "can't be told"

    @property
    def advice(self) -> str:
        """What to do, in a sentence."""
        if self.verdict == "helps":
            return "use the source; fine-tuning may add to it (fewshot transfer tune)"
        if self.verdict == "hurts":
            return (
                f"fall back to {self.best}, or try another depth (fewshot transfer layers) or another source (fewshot "
                "transfer rank)"
            )
        close = [name for name, gain in self.gains.items() if not gain.significant]
        return f"the draws don't tell it from {', '.join(close)}: take more draws or labels, or the cheaper of the two"

    def to_json(self) -> dict[str, Any]:
        """For machines; an interval that is not known is null."""
        return {
            "verdict": self.verdict,
            "advice": self.advice,
            "accuracy": {
                name: {"mean": found.mean, "ci95": _known(found.half_width), "draws": self.accuracy[name].tolist()}
                for name, found in self.intervals.items()
            },
            "gain": {
                name: {
                    "mean": gain.difference.mean,
                    "half_width": _known(gain.difference.half_width),
                    "confidence": gain.difference.confidence,
                    "p_value": _known(gain.p_value),
                }
                for name, gain in self.gains.items()
            },
        }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
