"""Learners by name."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from fewshot.errors import InvalidInput
from fewshot.learners.learner import Learner
from fewshot.registry import MethodRegistry, default_settings, summary

AnyLearner = TypeVar("AnyLearner", bound=type[Learner])

_LEARNERS: MethodRegistry[Learner] = MethodRegistry("learner")


def register_learner(name: str, paper: str = "") -> Callable[[AnyLearner], AnyLearner]:
    """Decorate a `Learner` dataclass to enter it under `name`; `paper` says where the method comes from."""
    return _LEARNERS.method(name, paper)


def create_learner(name: str, **settings: Any) -> Learner:
    """The learner called `name`, with its paper's defaults where no setting is given.

    Raises `UnknownName` with the nearest names, and `InvalidInput` for a setting it lacks or a value it cannot take.
    """
    return _LEARNERS.create(name, settings)


def parse_learner(text: str) -> Learner:
    """The learner that `name`, `name:setting=value,setting=value` or `name(setting=value)` describes.

    Values are numbers, true, false or words; what stands in round brackets belongs together, so a setting of a learner
    may describe other learners. Raises `InvalidInput` for anything else, and what `create_learner` raises.
    """
    name, settings = text, ""
    if match := re.fullmatch(r"([^:(]*)(?::(.*)|\((.*)\))", text):
        name, settings = match[1], match[2] or match[3] or ""
    pairs = [part.partition("=") for part in split_outside_brackets(settings, ",") if part]
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise InvalidInput(f"learner settings are written name:setting=value,setting=value; found {text!r}")
    return create_learner(name, **{key: parse_value(value) for key, _, value in pairs})


def split_outside_brackets(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator`, one character, that is not inside round brackets; blanks around are dropped."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def list_learners(pattern: str = "*") -> list[str]:
    """The names of the learners that match a shell pattern, sorted."""
    return _LEARNERS.names(pattern)


def describe_learner(learner: str | Learner) -> dict[str, Any]:
    """What a learner is, ready for JSON: a summary, paper, settings, their defaults, and what it assumes."""
    if isinstance(learner, str):
        learner = create_learner(learner)
    return {"summary": summary(type(learner)), **learner.facts(), "defaults": default_settings(learner)}


def parse_value(text: str) -> Any:
    """The number, true, false or none that `text` says, else `text` itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)
