"""One trunk for all label sets, and a linear head for each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.transfer.multitask.label_sets import MISSING


class MultitaskNetwork(nn.Module):
    """Inputs to the logits of every label set: hard parameter sharing (Caruana 1997, Multitask Learning).

    trunk: inputs (B, ...) to features (B, dim), shared by all; sizes: the classes of each label set.
    """

    def __init__(self, trunk: nn.Module, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList([nn.Linear(dim, size) for size in sizes])

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Logits (B, classes) of each label set."""
        features = self.trunk(inputs)
        return [head(features) for head in self.heads]

    def shared(self) -> list[nn.Parameter]:
        """The parameters that all label sets have in common."""
        return list(self.trunk.parameters())

    def last_shared(self) -> nn.Parameter:
        """The weights of the trunk's last layer that has a matrix or a filter."""
        weights = [weight for weight in self.shared() if weight.ndim > 1]
        if not weights:
            raise InvalidInput("the trunk has no layer with weights, so there is nothing to share; give one that has")
        return weights[-1]


def feature_trunk(dim: int, width: int = 256) -> nn.Module:
    """A trunk on features (B, dim): one hidden layer of `width` rectified units."""
    return nn.Sequential(nn.Linear(dim, width), nn.ReLU())


def task_losses(logits: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of each label set over the items that have its label, and which sets have any.

    logits: (B, classes) a label set; labels (B, tasks), -1 for missing  ->  losses (tasks,), 0 for a set without any
    label, and a bool (tasks,).
    """
    known = labels != MISSING
    losses = [
        cross_entropy(scores, column, ignore_index=MISSING, reduction="sum") / count.clamp(min=1)
        for scores, column, count in zip(logits, labels.unbind(1), known.sum(0), strict=True)
    ]
    return torch.stack(losses), known.any(0)


@torch.no_grad()
def task_accuracies(logits: Sequence[Tensor], labels: Tensor) -> list[float]:
    """The share of right predictions in each label set, over the items that have its label; NaN where none has."""
    found = []
    for scores, column in zip(logits, labels.unbind(1), strict=True):
        known = column != MISSING
        found.append(float((scores.argmax(1) == column)[known].double().mean()))
    return found
