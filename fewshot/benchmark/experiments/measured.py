"""What an experiment measured: accuracies with their intervals, the training, and what it was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fewshot.episodes.checks import whole_number
from fewshot.errors import InvalidInput

CURVE = ("step", "loss", "accuracy", "validation_accuracy")
_ROWS = 200


@dataclass(frozen=True)
class Measured:
    """Accuracy of one evaluation in per cent, half the width of its 95 % interval over the tasks, and their seed."""

    percent: float
    ci95: float
    tasks: int
    seed: int

    def __post_init__(self) -> None:
        check_percent("percent", self.percent)
        if not 0 <= self.ci95 < float("inf"):  # with few tasks it may be wider than 100
            raise InvalidInput(f"ci95 must be zero or more and finite, found {self.ci95!r}")
        whole_number("tasks", self.tasks, 2)
        whole_number("seed", self.seed, 0)


@dataclass(frozen=True)
class Ours:
    """A reproduction: `results`, one for each evaluation of the experiment, and how they came about.

    steps: training steps done; best_step: the step of the model that was evaluated; hours: of training; seed: of the
    training; curve: rows of `CURVE`, None where there was no validation; provenance: date, versions and hardware.
    """

    results: tuple[Measured, ...]
    steps: int
    best_step: int
    hours: float
    seed: int
    curve: tuple[tuple[float | None, ...], ...]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        whole_number("steps", self.steps, 1)
        whole_number("best_step", self.best_step, 1)
        whole_number("seed", self.seed, 0)
        if self.best_step > self.steps or not 0 <= self.hours < float("inf"):
            raise InvalidInput(f"best_step {self.best_step} of {self.steps} steps in {self.hours} hours cannot be")
        if any(len(row) != len(CURVE) for row in self.curve) or len(self.curve) > _ROWS:
            raise InvalidInput(f"curve must be at most {_ROWS} rows of {', '.join(CURVE)}")
        missing = {"date", "packages", "hardware"} - set(self.provenance)
        if missing:
            raise InvalidInput(f"provenance lacks {', '.join(sorted(missing))}")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ours:
        """Read what `to_json` gave; raises `TypeError` for missing or unknown entries."""
        results = tuple(Measured(**result) for result in content.get("results", ()))
        curve = tuple(tuple(row) for row in content.get("curve", ()))
        return cls(**{**content, "results": results, "curve": curve})

    def to_json(self) -> dict[str, Any]:
        """Every field as JSON values, which `from_json` reads."""
        return asdict(self) | {
            "results": [asdict(result) for result in self.results],
            "curve": list(map(list, self.curve)),
        }


@dataclass(frozen=True)
class AdaptedOurs:
    """What came out: `results`, one for each evaluation, the hours all took, and what they were made with.

    draws: whether intervals are over draws; otherwise they are over the items that were tested.
    """

    results: tuple[Measured, ...]
    hours: float
    provenance: Mapping[str, Any]
    draws: bool = True

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AdaptedOurs:
        """Read what `to_json` gave; raises `TypeError` for missing or unknown entries."""
        return cls(**{**content, "results": tuple(Measured(**result) for result in content.get("results", ()))})

    def to_json(self) -> dict[str, Any]:
        """Every field as JSON values, which `from_json` reads; `draws` only where it is false."""
        told = {**vars(self), "results": [vars(result) for result in self.results]}
        return {name: value for name, value in told.items() if name != "draws" or not value}


def thinned(history: Sequence[Mapping[str, Any]]) -> tuple[tuple[float | None, ...], ...]:
    """The curve of a training's history: every k-th row, at most 200, the last among them."""
    apart = -(-len(history) // _ROWS)
    rows = history[::-1][::apart][::-1]
    return tuple(tuple(_short(row[name]) for name in CURVE) for row in rows)


def check_percent(name: str, value: float | None) -> None:
    """Raise `InvalidInput` for what is no number between 0 and 100; None is allowed."""
    if value is not None and not 0 <= value <= 100:
        raise InvalidInput(f"{name} must be per cent between 0 and 100, found {value!r}")


def _short(value: float | None) -> float | None:
    return round(value, 5) if isinstance(value, float) else value
