"""Weights for the learners that are trained on episodes first."""

from collections.abc import Callable

import pytest
import torch

from fewshot.embeddings import EmbeddingTable
from fewshot.learners import Learner, TrainedLearner, Training, train_learner


@pytest.fixture(scope="session")
def with_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Learner, int], Learner]:
    """Gives a trained learner weights for so many dimensions, after a short training; others stay as they are."""
    folder = tmp_path_factory.mktemp("weights")

    def train(learner: Learner, dim: int) -> Learner:
        if not isinstance(learner, TrainedLearner):
            return learner
        draw, labels = torch.Generator().manual_seed(7), torch.arange(20).repeat_interleave(12)
        features = torch.rand(20, dim, generator=draw)[labels] + 0.2 * torch.randn(240, dim, generator=draw)
        table = EmbeddingTable(features, labels, tuple(map(str, range(20))), tuple(map(str, range(240))))
        training = Training(queries=4, steps=60, tasks=8, validate_every=20)
        return train_learner(learner, table, folder / f"{learner.name}.safetensors", training)

    return train
