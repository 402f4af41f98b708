"""A batch of tasks as tensors: what a meta-learner is trained on and scored with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tasks:
    """T tasks of one shape, without padding, on one device.

    support (T, S, ...), query (T, Q, ...): inputs, float; images are (C, H, W), ready for the backbone.
    support_labels (T, S), query_labels (T, Q): int64 in [0, ways); for regression (T, S, outputs) float.
    ways: classes of a task; 0 for regression.
    """

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor
    ways: int

    def __len__(self) -> int:
        return len(self.support)

    def __getitem__(self, part: slice) -> Tasks:
        """The tasks of a slice."""
        return replace(self, **{name: tensor[part] for name, tensor in self._tensors().items()})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Tasks:
        """The same tasks on another device, with inputs and float labels of another type."""
        moved = {
            name: tensor.to(device, dtype if tensor.is_floating_point() else None)
            for name, tensor in self._tensors().items()
        }
        return replace(self, **moved)

    def _tensors(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "ways"}
