"""Random tasks that the tests of learners share."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from fewshot.learners import BaseStatistics


@dataclass(frozen=True)
class Tasks:
    support: Tensor
    labels: Tensor
    query: Tensor
    query_labels: Tensor
    ways: int
    base: BaseStatistics

    def item(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Support, labels and queries of one task, for references that know of one only."""
        return self.support[index], self.labels[index], self.query[index]


MakeTasks = Callable[..., Tasks]


def _make_tasks(
    tasks: int = 4, ways: int = 5, shots: int = 3, queries: int = 4, dim: int = 16, seed: int = 0, spread: float = 0.5
) -> Tasks:
    """Gaussian classes around random means, clipped at zero as features of a ReLU network are; shuffled."""
    draw = torch.Generator().manual_seed(seed)
    means = torch.rand(tasks, ways, dim, generator=draw)

    def part(count: int) -> tuple[Tensor, Tensor]:
        order = torch.stack([torch.randperm(ways * count, generator=draw) for _ in range(tasks)])
        labels = torch.arange(ways).repeat_interleave(count).expand(tasks, -1).gather(1, order)
        centres = means.gather(1, labels[..., None].expand(-1, -1, dim))
        return (centres + spread * torch.randn(centres.shape, generator=draw)).clamp(min=0), labels

    support, labels = part(shots)
    query, query_labels = part(queries)
    base_labels = torch.arange(8).repeat_interleave(12)
    base = torch.rand(8, dim, generator=draw)[base_labels] + spread * torch.randn(96, dim, generator=draw)
    return Tasks(
        support, labels, query, query_labels, ways, BaseStatistics.from_features(base.clamp(min=0), base_labels)
    )


@pytest.fixture(scope="session")
def make_tasks() -> MakeTasks:
    return _make_tasks


GRID = [(1, 1, 1, 8), (2, 1, 3, 1), (5, 1, 4, 64), (5, 5, 3, 7), (20, 3, 1, 32)]


@pytest.fixture(params=GRID, ids=lambda p: "{}-way {}-shot {} queries {} dim".format(*p))
def grid_tasks(request: pytest.FixtureRequest) -> Tasks:
    """Tasks of several shapes, with D above and below the number of samples."""
    ways, shots, queries, dim = request.param
    return _make_tasks(ways=ways, shots=shots, queries=queries, dim=dim, seed=ways + dim)
