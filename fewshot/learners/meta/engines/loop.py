"""One task after another through the model itself: the reading reference, for any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.func import functional_call

from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.gradient.inner_loop import State


@dataclass(frozen=True)
class LoopEngine(Engine):
    """A plain loop over tasks."""

    name: ClassVar[str] = "loop"

    def network(self, model: nn.Module) -> OneTask:
        """Any model."""
        return OneTask(model)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks_at_once", 1)


@dataclass(frozen=True)
class OneTask:
    """A model as a network of one task: inputs (1, S, ...)."""

    model: nn.Module

    def __call__(self, state: State, inputs: Tensor) -> Tensor:
        """Logits (1, S, ways)."""
        return self.head(state, self.features(state, inputs))

    def features(self, state: State, inputs: Tensor) -> Tensor:
        """Features (1, S, dim)."""
        return self._call("backbone", state, inputs)

    def head(self, state: State, features: Tensor) -> Tensor:
        """Logits (1, S, ways) of features (1, S, dim)."""
        return self._call("head", state, features)

    def spread(self, state: State, names: Sequence[str], tasks: int) -> State:
        """The state: one task needs no own copy."""
        return state

    def _call(self, part: str, state: State, inputs: Tensor) -> Tensor:
        own = {name.removeprefix(f"{part}."): each for name, each in state.items() if name.startswith(f"{part}.")}
        return functional_call(getattr(self.model, part), own, (inputs[0],))[None]
