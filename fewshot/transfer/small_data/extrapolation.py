"""What a learning curve foretells: accuracy at more shots, and the labels that a goal needs, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.small_data.learning_curve import LearningCurve
from fewshot.transfer.small_data.power_law import PowerLaw, fit_power_law


@dataclass(frozen=True)
class Foretold:
    """A number with the bounds that it lies within in `confidence` of the resampled curves; infinity is possible."""

    value: float
    low: float
    high: float
    confidence: float = 0.95

    def holds(self, truth: float) -> bool:
        """Whether `truth` lies within the bounds."""
        return self.low <= truth <= self.high


@dataclass(frozen=True)
class Goal:
    """How many shots an accuracy needs.

    `shots` is infinite where the curve levels off below the goal; `reachable` is the share of resampled curves that
    get there at all; `have` is the largest number of shots measured, and `ways` the number of classes.
    """

    accuracy: float
    shots: Foretold
    reachable: float
    have: int
    ways: int

    @property
    def more_labels(self) -> Foretold:
        """Labels beside those of the largest support measured, over all classes."""

        def more(shots: float) -> float:
            return self.ways * max(0.0, shots - self.have)

        known = self.shots
        return Foretold(more(known.value), more(known.low), more(known.high), known.confidence)

    def __str__(self) -> str:
        goal, bounds = f"{100 * self.accuracy:g} %", f"{_whole(self.shots.low)} to {_whole(self.shots.high)}"
        if math.isinf(self.shots.value):
            some = f"; {100 * self.reachable:.0f} % of the resampled curves reach it" if self.reachable else ""
            return f"{goal} is not reachable by this curve, which levels off below it{some}"
        if self.shots.high <= self.have:
            return f"{goal} is reached with {_whole(self.shots.value)} shots a class ({bounds}), which there are"
        more = self.more_labels
        far = " This is far beyond what was measured." if self.shots.value > 8 * self.have else ""
        return (
            f"{goal} needs about {_whole(self.shots.value)} shots a class ({bounds}), {_whole(more.value)} more labels "
            f"({_whole(more.low)} to {_whole(more.high)}).{far}"
        )

    def to_json(self) -> dict[str, Any]:
        """For machines; what is infinite is null."""
        return {
            "goal": self.accuracy,
            "shots": _finite(self.shots),
            "more_labels": _finite(self.more_labels),
            "reachable": self.reachable,
            "told": str(self),
        }


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """The power law of a learning curve, and the same of `resamples` curves made of draws taken again.

    The interval covers what the choice of images does. That the curve may be no power law it covers only in part: with
    four points or more each resampled curve also does without one of them, taken in turn.
    """

    curve: LearningCurve
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.curve.accuracy) < 2:
            raise InvalidInput("an extrapolation needs two draws or more to tell its uncertainty, found 1; raise draws")
        if self.resamples < 1:
            raise InvalidInput(f"resamples must be 1 or more, found {self.resamples}")

    @cached_property
    def law(self) -> PowerLaw:
        """The power law of the mean error."""
        return fit_power_law(self.curve.shots, 1 - self.curve.accuracy.mean(0, keepdim=True))[0]

    @cached_property
    def resampled(self) -> list[PowerLaw]:
        """The power laws of the resampled curves."""
        errors = 1 - self.resampled_means()
        shots, count = self.curve.shots, len(self.curve.shots)
        if count < 4:
            return fit_power_law(shots, errors)
        laws = []
        for place in range(count):
            kept = [other for other in range(count) if other != place]
            laws += fit_power_law([shots[other] for other in kept], errors[place::count][:, kept])
        return laws

    def resampled_means(self) -> Tensor:
        """Mean accuracies (resamples, shots) of draws taken with replacement, whole rows at a time."""
        draws = len(self.curve.accuracy)
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randint(draws, (self.resamples, draws), generator=generator)
        return self.curve.accuracy.double()[chosen].mean(1)

    def accuracy(self, shots: float, confidence: float = 0.95) -> Foretold:
        """The mean accuracy that `shots` labels a class should give."""
        if not shots > 0:
            raise InvalidInput(f"shots must be above 0, found {shots}")
        return _foretold(1 - self.law.error(shots), [1 - law.error(shots) for law in self.resampled], confidence)

    def goal(self, accuracy: float, confidence: float = 0.95) -> Goal:
        """How many shots it takes until the mean accuracy is `accuracy`, in (0, 1)."""
        if not 0 < accuracy < 1:
            raise InvalidInput(f"a goal must lie between 0 and 1, such as 0.9, found {accuracy:g}")
        found = [law.shots_for(1 - accuracy) for law in self.resampled]
        reachable = sum(map(math.isfinite, found)) / len(found)
        shots = _foretold(self.law.shots_for(1 - accuracy), found, confidence)
        return Goal(accuracy, shots, reachable, self.curve.shots[-1], self.curve.ways)


def _foretold(value: float, resampled: list[float], confidence: float) -> Foretold:
    """The value of the whole with the quantiles of the resampled ones, widened where they leave it out."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence must lie between 0 and 1, found {confidence}")
    ordered = sorted(resampled)
    last, tail = len(ordered) - 1, (1 - confidence) / 2
    low, high = ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)]
    return Foretold(value, min(low, value), max(high, value), confidence)


def _whole(number: float) -> str:
    return "more than can be told" if math.isinf(number) else f"{math.ceil(number):,}"


def _finite(found: Foretold) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in vars(found).items()}
