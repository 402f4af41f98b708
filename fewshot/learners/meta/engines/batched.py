"""All tasks at once: channels of T tasks side by side, so that a grouped convolution gives each its own weights.

Images are (S, T·C, H, W): sample s of all tasks, one after another. Batch norm over such channels is batch norm of each
task by itself. Features and other vectors are (T, S, D), which a batched matrix product takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.engines.folding import Folded, fold
from fewshot.learners.meta.gradient.inner_loop import State


@dataclass(frozen=True)
class BatchedEngine(Engine):
    """Tasks folded into one network."""

    name: ClassVar[str] = "batched"

    tasks_at_once: int = 4

    def network(self, model: nn.Module) -> FoldedNetwork:
        """The folded model, made of layers that `folding.FOLDS` lists."""
        return FoldedNetwork(*(fold(model.get_submodule(part), part) for part in ("backbone", "head")))


@dataclass(frozen=True)
class FoldedNetwork:
    """A network of T tasks, each with its own weights (T, ...) where the state has these."""

    backbone: list[Folded]
    classifier: list[Folded]

    def __call__(self, state: State, inputs: Tensor) -> Tensor:
        """Logits (T, S, ways) of inputs (T, S, ...)."""
        return self.head(state, self.features(state, inputs))

    def features(self, state: State, inputs: Tensor) -> Tensor:
        """Features (T, S, dim) of inputs (T, S, dim) or (T, S, C, H, W)."""
        tasks = len(inputs)
        if inputs.ndim == 5:
            inputs = inputs.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        for layer in self.backbone:
            inputs = layer(state, inputs, tasks)
        return inputs

    def head(self, state: State, features: Tensor) -> Tensor:
        """Logits (T, S, ways) of features (T, S, dim)."""
        for layer in self.classifier:
            features = layer(state, features, len(features))
        return features

    def spread(self, state: State, names: Sequence[str], tasks: int) -> State:
        """The named parameters once a task, (T, ...)."""
        return {**state, **{name: state[name].expand(tasks, *state[name].shape) for name in names}}
