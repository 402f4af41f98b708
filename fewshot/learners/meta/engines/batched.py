"""All tasks at once: channels of T tasks side by side, so that a grouped convolution gives each its own weights.

Images are (S, T·C, H, W): sample s of all tasks, one after another. Batch norm over such channels is batch norm of each
task by itself. Features and other vectors are (T, S, D), which a batched matrix product takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fewshot.learners.meta.engines.engine import Engine, state_of
from fewshot.learners.meta.engines.folding import Folded, fold
from fewshot.learners.meta.gradient.inner_loop import State


@dataclass(frozen=True)
class BatchedEngine(Engine):
    """Tasks folded into one network.

    images_at_once: of how many images one pass is made at most, over whole tasks, which keeps it in the cache of a
    processor; None for no bound.
    """

    name: ClassVar[str] = "batched"

    tasks_at_once: int = 4
    images_at_once: int | None = None

    def network(self, model: nn.Module) -> FoldedNetwork:
        """The folded model, made of layers that `folding.FOLDS` lists."""
        backbone, head = (fold(model.get_submodule(part), part) for part in ("backbone", "head"))
        dims = {name: each.ndim for name, each in state_of(model).items()}
        return FoldedNetwork(backbone, head, dims, self.images_at_once)


@dataclass(frozen=True)
class FoldedNetwork:
    """A network of T tasks, each with its own weights (T, ...) where the state has these.

    dims: of the tensors of a state that has no own ones; images_at_once: as in `BatchedEngine`.
    """

    backbone: list[Folded]
    classifier: list[Folded]
    dims: Mapping[str, int]
    images_at_once: int | None = None

    def __call__(self, state: State, inputs: Tensor) -> Tensor:
        """Logits (T, S, ways) of inputs (T, S, ...)."""
        return self.head(state, self.features(state, inputs))

    def features(self, state: State, inputs: Tensor) -> Tensor:
        """Features (T, S, dim) of inputs (T, S, dim) or (T, S, C, H, W)."""
        tasks, samples = inputs.shape[:2]
        limit = self.images_at_once if inputs.ndim == 5 else None
        at_once = tasks if limit is None else max(1, limit // samples)
        if at_once >= tasks:
            return self._features(state, inputs)
        own = {name: each.split(at_once) for name, each in state.items() if each.ndim > self.dims[name]}
        features = []
        for part, few in enumerate(inputs.split(at_once)):
            features.append(self._features({**state, **{name: each[part] for name, each in own.items()}}, few))
        return torch.cat(features)

    def head(self, state: State, features: Tensor) -> Tensor:
        """Logits (T, S, ways) of features (T, S, dim)."""
        for layer in self.classifier:
            features = layer(state, features, len(features))
        return features

    def spread(self, state: State, names: Sequence[str], tasks: int) -> State:
        """The named parameters once a task, (T, ...)."""
        return {**state, **{name: state[name].expand(tasks, *state[name].shape) for name in names}}

    def _features(self, state: State, inputs: Tensor) -> Tensor:
        tasks = len(inputs)
        if inputs.ndim == 5:
            inputs = inputs.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        for layer in self.backbone:
            inputs = layer(state, inputs, tasks)
        return inputs
