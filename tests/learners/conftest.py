"""Tasks that the tests of learners share, random and real."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from fewshot.backbones import create_backbone
from fewshot.datasets import load_dataset
from fewshot.embeddings import EmbeddingTable, embed_images
from fewshot.learners import BaseStatistics, Learner, TrainedLearner, Training, Words, train_learner
from fewshot.learners.trained import save_network


@dataclass(frozen=True)
class Tasks:
    support: Tensor
    labels: Tensor
    query: Tensor
    query_labels: Tensor
    ways: int
    base: BaseStatistics
    words: Words

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
    statistics = BaseStatistics.from_features(base.clamp(min=0), base_labels)
    prompts = means[:, :, None] + 0.2 * torch.rand(tasks, ways, 3, dim, generator=draw)
    return Tasks(support, labels, query, query_labels, ways, statistics, _words(prompts))


def _words(prompts: Tensor) -> Words:
    """Words of prompts (T, W, P, D), as a text tower would give them."""
    prompts = torch.nn.functional.normalize(prompts, dim=-1)
    raw = prompts.mean(-2)
    return Words(torch.nn.functional.normalize(raw, dim=-1), scale=20.0, prompts=prompts, raw=raw)


@pytest.fixture(scope="session")
def make_tasks() -> MakeTasks:
    return _make_tasks


@pytest.fixture(scope="session")
def base_table() -> Callable[..., EmbeddingTable]:
    """Classes of any dimension. Their items differ most along a direction that says nothing of the class, as brightness
    does in pictures: what training can learn to leave out.
    """

    def make(dim: int, classes: int = 20, items: int = 12, seed: int = 7) -> EmbeddingTable:
        draw = torch.Generator().manual_seed(seed)
        labels = torch.arange(classes).repeat_interleave(items)
        features = torch.rand(classes, dim, generator=draw)[labels]
        features += 0.2 * torch.randn(features.shape, generator=draw)
        features += 3 * torch.rand(len(labels), 1, generator=draw) * torch.linspace(0, 1, dim)
        names, ids = (tuple(map(str, range(count))) for count in (classes, len(labels)))
        return EmbeddingTable(features.clamp(min=0), labels, names, ids)

    return make


@pytest.fixture(scope="session")
def with_weights(
    base_table: Callable[..., EmbeddingTable], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Learner, int], Learner]:
    """Gives a trained learner weights for so many dimensions, after a short training; others stay as they are."""
    folder, trained = tmp_path_factory.mktemp("weights"), {}

    def train(learner: Learner, dim: int) -> Learner:
        if not isinstance(learner, TrainedLearner) or learner.weights:
            return learner
        if (learner, dim) not in trained:
            out = folder / f"{len(trained)}.safetensors"
            trained[learner, dim] = train_learner(
                learner, base_table(dim), out, Training(queries=4, steps=60, tasks=8, validate_every=20)
            )
        return trained[learner, dim]

    return train


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainedLearner]:
    """Gives a trained learner random weights, none of them zero as some are before training."""
    folder = tmp_path_factory.mktemp("random")

    def give(learner: TrainedLearner, dim: int, backbone: str = "") -> TrainedLearner:
        with torch.random.fork_rng():
            torch.manual_seed(dim)
            network = learner.network(dim)
            for parameter in network.parameters():
                parameter.data += 0.3 * torch.randn(parameter.shape)
        out = folder / f"{len(list(folder.iterdir()))}.safetensors"
        save_network(out, network, learner, dim, backbone, {})
        return replace(learner, weights=str(out))

    return give


def _shape_in_words(shape: tuple[int, ...] | str) -> str:
    return shape if isinstance(shape, str) else "{}-way {}-shot {} queries {} dim".format(*shape)


@pytest.fixture(scope="session")
def real_tasks(offline_weights: None) -> Tasks:
    """Two 5-way 2-shot tasks of the digits 0 to 4 in features of a pretrained network; 5 to 9 are the base."""
    dataset = load_dataset("digits")
    chosen = torch.cat([(dataset.labels == digit).nonzero()[:10, 0] for digit in range(10)])
    backbone = create_backbone("timm:tf_efficientnet_lite0", device="cpu", precision="float32")
    features = embed_images(backbone, [dataset[int(item)][0] for item in chosen])
    features = features.double().view(2, 5, 2, 5, -1).transpose(1, 2)  # asked or base, task, digit, item
    support, query = features[0, :, :, :2].flatten(1, 2), features[0, :, :, 2:].flatten(1, 2)
    labels = torch.arange(5).repeat_interleave(2).expand(2, -1)
    query_labels = torch.arange(5).repeat_interleave(3).expand(2, -1)
    base = BaseStatistics.from_features(
        features[1].transpose(0, 1).reshape(50, -1).float(), torch.arange(5).repeat_interleave(10)
    )
    noise = torch.rand(2, 5, 3, support.shape[2], generator=torch.Generator().manual_seed(0), dtype=support.dtype)
    means = torch.stack([features[0, :, digit].mean(1) for digit in range(5)], 1)
    return Tasks(support, labels, query, query_labels, 5, base, _words(means[:, :, None] + 0.2 * noise))


GRID = [(1, 1, 1, 8), (2, 1, 3, 1), (5, 1, 4, 64), (5, 5, 3, 7), (20, 3, 1, 32)]


@pytest.fixture(params=[*GRID, "real features"], ids=_shape_in_words)
def grid_tasks(request: pytest.FixtureRequest) -> Tasks:
    """Tasks of several shapes, with D above and below the number of samples, and tasks of real features."""
    if request.param == "real features":
        return request.getfixturevalue("real_tasks")
    ways, shots, queries, dim = request.param
    return _make_tasks(ways=ways, shots=shots, queries=queries, dim=dim, seed=ways + dim)
