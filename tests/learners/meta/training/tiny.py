"""A small problem and a small meta-learner, for the tests and for the programs that they start."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.backbones.network import Network
from fewshot.backbones.networks.conv4 import Conv4
from fewshot.backbones.networks.untrained import drawings, untrained
from fewshot.backbones.registry import register_backbone
from fewshot.datasets import Dataset, Grouping
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.learners.meta import MetaLearner, Outcome, Tasks, register_meta_learner
from fewshot.learners.meta.training.meta_training import MetaTraining

BACKBONE = "test:tiny"


@register_backbone(BACKBONE)
def tiny_backbone(pretrained: bool) -> Network:
    """Conv-4 with 16 channels, on drawings of 28 pixels."""
    return untrained(BACKBONE, Conv4((16, 16, 16, 16), image_channels=1), pretrained, drawings(28))


def marks(classes: int = 12, items: int = 8, seed: int = 0, name: str = "marks") -> Dataset:
    """Black marks on white, 28 x 28: a class is seven dots on a coarse grid, an item moves them and adds specks."""
    draw = np.random.default_rng(seed)
    pixels = np.full((classes * items, 28, 28), 255, np.uint8)
    for number, image in enumerate(pixels):
        if number % items == 0:
            dots = draw.integers(1, 6, (7, 2)) * 4
        for row, column in dots + draw.integers(-3, 4, 2):
            image[row : row + 3, column : column + 3] = 0
        image[draw.random((28, 28)) < 0.06] = 0
    labels = torch.arange(classes).repeat_interleave(items)
    return Dataset(
        name,
        ArrayImages(pixels),
        labels,
        tuple(f"{name} {label} of seed {seed}" for label in range(classes)),
        tuple(f"{seed}/{number}" for number in range(len(labels))),
        groups={"half": Grouping((labels >= classes // 2).long(), ("first", "second"))},
    )


class TinyModel(nn.Module):
    """A backbone, a learned scale, and a count of the batches seen."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.scale = backbone, nn.Parameter(torch.tensor(1.0))
        self.register_buffer("batches", torch.tensor(0))
        self.register_buffer("running", torch.tensor(0.0))


@register_meta_learner("tiny", paper="none")
@dataclass(frozen=True)
class Tiny(MetaLearner):
    """Class means, a learned scale; batch norm stays as it was at first, so that a task sees no other.

    noise: of the inputs in training. nan_from: share of the training after which the loss is NaN.
    """

    noise: float = 0.0
    nan_from: float = 2.0
    words: tuple[str, ...] = ("a", "b")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        return TinyModel(backbone)

    def backward(self, model: Any, tasks: Tasks, progress: float) -> Outcome:
        model.backbone.eval()
        model.batches += 1
        noisy = tasks.query + self.noise * torch.randn_like(tasks.query)
        logits = _logits(model, tasks.support, tasks.support_labels, noisy, tasks.ways)
        loss = cross_entropy(logits.flatten(0, 1), tasks.query_labels.flatten())
        model.running += 0.5 * (loss.detach() - model.running)
        if progress >= self.nan_from:
            loss = loss * float("nan")
        loss.backward()
        return Outcome(loss.detach(), logits.detach())

    @torch.no_grad()
    def logits(self, model: Any, tasks: Tasks) -> Tensor:
        return _logits(model, tasks.support, tasks.support_labels, tasks.query, tasks.ways)


def _logits(model: Any, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
    features, queries = (model.backbone(x.flatten(0, 1)).unflatten(0, x.shape[:2]) for x in (support, query))
    means = torch.stack([features[labels == way].unflatten(0, (len(support), -1)).mean(1) for way in range(ways)], 1)
    return -model.scale * torch.cdist(queries, means).square()


@register_meta_learner("tiny-fixed", paper="none")
@dataclass(frozen=True)
class TinyFixed(Tiny):
    """The same, said to serve one number of ways only."""

    fixed_ways = True


@register_meta_learner("tiny-regression", paper="none")
@dataclass(frozen=True)
class TinyRegression(Tiny):
    """The same, said to be trained on numbers."""

    regression = True


def training(**changes: Any) -> MetaTraining:
    """A training of a second."""
    usual = {"ways": 3, "queries": 2, "tasks": 2, "steps": 12, "validate_every": 4, "validation_tasks": 10}
    return MetaTraining(**{**usual, **changes})
