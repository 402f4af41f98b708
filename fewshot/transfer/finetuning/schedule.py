"""A schedule of fine-tuning as data: what is trained when, for how long and at which rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import ceil, cos, pi
from typing import Any, Literal

from fewshot.episodes.checks import positive, whole_number
from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.finetuning.depth import share_of

_NORMS = ("batch", "frozen")


@dataclass(frozen=True)
class Stage:
    """One stage of a schedule.

    train: "head", "all", "top=0.5" for a share of the depth from the top, or names of layers with commas between them;
        the head is always trained.
    epochs, rate: passes over the data, and the learning rate of the head at its highest.
    trunk: the rate of the trunk as a share of that of the head.
    decay: each unit of depth learns at this share of the rate of the unit above it (Howard and Ruder 2018, Universal
        language model fine-tuning, section 3.2, where it is 1/2.6); 1 for one rate in the whole trunk.
    warmup: share of the steps in which the rate rises to its height; cosine: it falls to zero afterwards.
    norms: batch norms of trained layers take the statistics of the "batch", or stay "frozen". Those of layers that are
        not trained are always frozen.
    """

    train: str = "all"
    epochs: int = 10
    rate: float = 1e-3
    trunk: float = 1.0
    decay: float = 1.0
    warmup: float = 0.0
    cosine: bool = True
    norms: Literal["batch", "frozen"] = "batch"

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)
        for name in ("rate", "trunk", "decay"):
            positive(name, getattr(self, name))
        if not 0 <= self.warmup < 1:
            raise InvalidInput(f"warmup must be a share of the steps in [0, 1), found {self.warmup}")
        if self.norms not in _NORMS:
            raise InvalidInput(f"norms must be one of {', '.join(_NORMS)}; found {self.norms!r}")
        if not self.train.strip():
            raise InvalidInput("a stage must say what it trains: head, all, top=SHARE or names of layers")
        if self.train.startswith("top="):
            share_of(self.train)

    def factor(self, step: int, steps: int) -> float:
        """The share of its height that the rate has at `step` of `steps`, from 0."""
        rising = ceil(self.warmup * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + cos(pi * (step - rising) / (steps - rising))) / 2 if self.cosine else 1.0

    def unit_rate(self, height: int) -> float:
        """The highest rate of a unit `height` units below the head: the topmost unit of the trunk is 1."""
        return self.rate * self.trunk * self.decay ** (height - 1)


@dataclass(frozen=True)
class Schedule:
    """Stages in their order, and whether the network starts from pretrained weights."""

    stages: tuple[Stage, ...]
    pretrained: bool = True
    name: str = "own"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise InvalidInput("a schedule needs a stage at least; such as 'head epochs=10'")

    @property
    def epochs(self) -> int:
        """Those of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` is the inverse."""
        return {"name": self.name, "pretrained": self.pretrained, "stages": [asdict(stage) for stage in self.stages]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Schedule:
        """A schedule of what `to_json` gave; raises `InvalidInput` for anything else."""
        try:
            stages = tuple(Stage(**stage) for stage in content["stages"])
            return cls(stages, bool(content["pretrained"]), str(content["name"]))
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"not a schedule of fine-tuning: {error!r}; write it with Schedule.to_json") from None


def _head() -> Schedule:
    return Schedule((Stage("head", 20, 1e-2),))


def _gradual() -> Schedule:
    below = Stage("top=0.34", 5, 2e-3, trunk=0.5, decay=0.6, warmup=0.1)
    return Schedule((Stage("head", 10, 1e-2), below, replace(below, train="top=0.67"), replace(below, train="all")))


def _lp_ft() -> Schedule:
    return Schedule((Stage("head", 15, 1e-2), Stage("all", 15, 1e-3, warmup=0.1)))


def _full() -> Schedule:
    return Schedule((Stage("all", 20, 1e-3, warmup=0.1),))


def _scratch() -> Schedule:
    return Schedule((Stage("all", 30, 1e-3, warmup=0.1),), pretrained=False)


# the names that a schedule may have, and where each comes from
PRESETS: dict[str, tuple[Callable[[], Schedule], str]] = {
    "head": (_head, "the classifier alone, on fixed features"),
    "gradual": (_gradual, "the head first, then from the top down (Howard and Ruder 2018, section 3.3)"),
    "lp-ft": (_lp_ft, "a linear probe, then everything (Kumar et al. 2022, Fine-tuning can distort, ICLR)"),
    "full": (_full, "everything at once, from pretrained weights"),
    "scratch": (_scratch, "everything, from random weights: what transfer is to beat"),
}


def parse_schedule(text: str) -> Schedule:
    """A preset, or stages of one's own.

    `gradual` is a preset; `gradual epochs=3 rate=0.001` changes each of its stages. Stages of one's own have `;`
    between them, each what it trains and then settings:
    `head epochs=10 rate=0.01; top=0.5 epochs=5 decay=0.4 norms=frozen`.
    Raises `UnknownName` for a preset that does not exist and `InvalidInput` for a setting that cannot be read.
    """
    parts = [part.split() for part in text.split(";") if part.strip()]
    if not parts:
        raise InvalidInput("the schedule is empty; take a preset, or stages such as 'head epochs=10; all epochs=5'")
    first = parts[0][0]
    if len(parts) == 1 and first in PRESETS:
        preset = PRESETS[first][0]()
        changed = tuple(replace(stage, **_settings(parts[0][1:])) for stage in preset.stages)
        return replace(preset, stages=changed, name=first)
    if len(parts) == 1 and len(parts[0]) == 1 and first not in ("all",) and not first.startswith("top="):
        raise UnknownName("schedule", first, PRESETS, hint="or give stages: 'head epochs=10; all epochs=5'")
    return Schedule(tuple(Stage(train=words[0], **_settings(words[1:])) for words in parts))


def _settings(words: list[str]) -> dict[str, Any]:
    known = {field.name: field.default for field in fields(Stage) if field.name != "train"}
    settings: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if name not in known:
            raise UnknownName("setting of a stage", name, known)
        if not (sign and value):
            raise InvalidInput(f"a stage takes NAME=VALUE, found {word!r}")
        settings[name] = _value(name, value, known[name])
    return settings


def _value(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise InvalidInput(f"{name} must be true or false, found {text!r}")
        return text == "true"
    if isinstance(default, str):
        return text
    try:
        return type(default)(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise InvalidInput(f"{name} must be {kind}, found {text!r}") from None
