"""Small tasks of images and a small backbone, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fewshot.learners.meta import MetaLearner, Tasks


def _image_tasks(tasks: int = 2, ways: int = 3, shots: int = 2, queries: int = 2, seed: int = 0) -> Tasks:
    """Each class is a noisy pattern of 8 x 8 pixels; items stand in any order."""
    draw = torch.Generator().manual_seed(seed)
    patterns = torch.randn(tasks, ways, 64, generator=draw, dtype=torch.float64)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        order = torch.stack([torch.randperm(ways * count, generator=draw) for _ in range(tasks)])
        labels = torch.arange(ways).repeat_interleave(count).expand(tasks, -1).gather(1, order)
        images = patterns.gather(1, labels[..., None].expand(-1, -1, 64))
        images = images + torch.randn(images.shape, generator=draw, dtype=torch.float64)
        return images.view(tasks, -1, 1, 8, 8), labels

    return Tasks(*part(shots), *part(queries), ways)


@pytest.fixture
def image_tasks() -> Callable[..., Tasks]:
    return _image_tasks


@pytest.fixture
def small_model() -> Callable[..., nn.Module]:
    """A learner's model on a backbone that gives maps of 4 channels and 4 x 4 positions; no parameter is zero."""

    def make(learner: MetaLearner, ways: int = 3) -> nn.Module:
        backbone = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
        )
        model = learner.model(backbone, 64, ways).double()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        return model.train()

    return make


@pytest.fixture
def features_in_training() -> Callable[..., tuple]:
    """What a backbone in training makes of tasks: support (T, S, D) and query (T, Q, D), in NumPy."""

    def embed(model: nn.Module, tasks: Tasks) -> tuple:
        images = torch.cat([tasks.support.flatten(0, 1), tasks.query.flatten(0, 1)])
        with torch.no_grad():
            features = model.backbone(images).numpy()
        support = len(tasks) * tasks.support.shape[1]
        return features[:support].reshape(len(tasks), -1, 64), features[support:].reshape(len(tasks), -1, 64)

    return embed
