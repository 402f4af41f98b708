"""Learners by name."""

from collections.abc import Callable
from typing import Any, TypeVar

from fewshot.errors import InvalidInput
from fewshot.learners.learner import Learner
from fewshot.registry import Registry

AnyLearner = TypeVar("AnyLearner", bound=type[Learner])

_LEARNERS: Registry[type[Learner]] = Registry("learner")


def register_learner(name: str, paper: str = "") -> Callable[[AnyLearner], AnyLearner]:
    """Decorate a `Learner` dataclass to enter it under `name`; `paper` says where the method comes from."""

    def enter(learner: AnyLearner) -> AnyLearner:
        _LEARNERS.add(name, learner)
        learner.name, learner.paper = name, paper
        return learner

    return enter


def create_learner(name: str, **settings: Any) -> Learner:
    """The learner called `name`, with its paper's defaults where no setting is given.

    Raises `UnknownName` with the nearest names, and `InvalidInput` for a setting it lacks or a value it cannot take.
    """
    learner = _LEARNERS[name]
    defaults = learner().facts()["settings"]
    unknown = [setting for setting in settings if setting not in defaults]
    if unknown:
        known = ", ".join(f"{setting}={value!r}" for setting, value in defaults.items()) or "none"
        raise InvalidInput(f"{name} has no setting {unknown[0]!r}; its settings and defaults: {known}")
    return learner(**settings)


def list_learners(pattern: str = "*") -> list[str]:
    """The names of the learners that match a shell pattern, sorted."""
    return _LEARNERS.names(pattern)


def describe_learner(name: str) -> dict[str, Any]:
    """What the learner called `name` is: a summary, its paper, default settings and assumptions, ready for JSON."""
    learner = create_learner(name)
    summary = (type(learner).__doc__ or "").strip().split("\n\n")[0]
    return {"summary": " ".join(summary.split()), **learner.facts()}
