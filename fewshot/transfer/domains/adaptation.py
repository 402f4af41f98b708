"""What an adaptation method is: labelled source and unlabelled target in, predictions for the target out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.registry import parse_value
from fewshot.registry import MethodRegistry, default_settings, summary
from fewshot.transfer.domains.checks import check_labels, check_vectors
from fewshot.transfer.domains.classifiers import predict
from fewshot.transfer.sees import ADAPTS_TO_TEST, Sees

AnyAdaptation = TypeVar("AnyAdaptation", bound=type)


@dataclass(frozen=True)
class Adaptation:
    """A method from a source with labels to a target without; its fields are its settings.

    `sees` is what it is shown. Subclasses write `_predict`, behind the checks.
    """

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    sees: ClassVar[Sees] = ADAPTS_TO_TEST

    def adapt(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        """Labels (M,) int64 for target (M, D), from source (N, D) and its labels (N,).

        Raises `InvalidInput` for dimensions that differ, one class only, constant features or values not finite.
        """
        source, target = check_vectors(source, target)
        return self._predict(source, check_labels("source", labels, len(source)), target)

    def facts(self) -> dict[str, Any]:
        """For JSON: name, paper, what it sees, and its settings."""
        settings = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        return {"name": self.name, "paper": self.paper, "sees": self.sees.facts(), "settings": settings}

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Alignment(Adaptation):
    """A method that brings both domains into one space, where `classifier` learns from the source.

    classifier: "1-nn" as in the published tables, "logistic" or "svm" (linear).
    """

    classifier: str = "1-nn"

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as (N, d) and (M, d) of one space; labels (N,) are those of the source."""
        raise NotImplementedError

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        moved_source, moved_target = self.align(source.double(), labels, target.double())
        return predict(self.classifier, moved_source, labels, moved_target)


_ADAPTATIONS: MethodRegistry[Adaptation] = MethodRegistry("adaptation method")


def register_adaptation(name: str, paper: str) -> Callable[[AnyAdaptation], AnyAdaptation]:
    """Decorate an `Adaptation` dataclass to enter it under `name`."""
    return _ADAPTATIONS.method(name, paper)


def create_adaptation(name: str, **settings: Any) -> Adaptation:
    """The method called `name`; raises `UnknownName` with the nearest, and `InvalidInput` for a setting it lacks."""
    return _ADAPTATIONS.create(name, settings)


def parse_adaptation(text: str) -> Adaptation:
    """The method that `name` or `name:setting=value,...` describes; raises what `create_adaptation` raises."""
    name, _, settings = text.partition(":")
    pairs = [part.partition("=") for part in settings.split(",") if part]
    for key, equals, value in pairs:
        if not (key and equals and value):
            raise InvalidInput(f"settings of a method are written name:setting=value,setting=value; found {text!r}")
    return create_adaptation(name, **{key: parse_value(value) for key, _, value in pairs})


def list_adaptations(pattern: str = "*") -> list[str]:
    """The names of the methods that match a shell pattern, sorted."""
    return _ADAPTATIONS.names(pattern)


def describe_adaptation(name: str) -> dict[str, Any]:
    """A summary, the paper, what the method sees, and its settings with their defaults, ready for JSON."""
    method = _ADAPTATIONS[name]
    return {"summary": summary(method), **create_adaptation(name).facts(), "settings": default_settings(method)}
