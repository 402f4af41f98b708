"""Learning curves on real digits, and their supports that grow."""

from __future__ import annotations

import pytest
import torch

import fewshot
from fewshot.errors import InvalidInput
from fewshot.transfer.small_data import LearningCurve, first_shots, learning_curve


@pytest.fixture(scope="module")
def digits() -> fewshot.EmbeddingTable:
    """The pixels of scikit-learn's digits, 8 x 8."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    names = tuple(map(str, range(10)))
    ids = tuple(map(str, range(len(labels))))
    return fewshot.EmbeddingTable(torch.tensor(pixels).float(), torch.tensor(labels).long(), names, ids)


def test_supports_are_nested_and_queries_stay(digits: fewshot.EmbeddingTable) -> None:
    episodes = fewshot.EpisodeSampler(digits.labels, ways=4, shots=5, queries=3, seed=1).sample(6)
    smaller = None
    for shots in (1, 2, 5, 9):
        part = first_shots(episodes, shots)
        part.check(digits.labels)
        for task in range(6):
            items = part.support[task].tolist()
            assert len(items) == 4 * min(shots, 5)
            for way in range(4):
                mine = [i for i, label in zip(items, part.support_labels[task].tolist(), strict=True) if label == way]
                pairs = zip(episodes.support[task].tolist(), episodes.support_labels[task].tolist(), strict=True)
                assert mine == [i for i, label in pairs if label == way][:shots]
            assert smaller is None or set(smaller.support[task].tolist()) <= set(items)
        assert torch.equal(part.query, episodes.query)
        smaller = part


def test_more_shots_help_and_one_point_is_an_evaluation(digits: fewshot.EmbeddingTable) -> None:
    learner = fewshot.create_learner("prototypical")
    curve = learning_curve(digits, learner, shots=(1, 4, 16), draws=8, queries=10, seed=3)
    means = [found.mean for found in curve.intervals]
    assert means[0] + 0.1 < means[1] < means[2]
    assert curve.accuracy.shape == (8, 3)
    assert curve.ways == 10
    episodes = fewshot.EpisodeSampler(digits.labels, ways="all", shots=16, queries=10, seed=3).sample(8)
    assert torch.equal(curve.accuracy[:, 2], fewshot.evaluate(learner, digits, episodes).per_episode)
    told = curve.up_to(4).to_json()
    assert [point["shots"] for point in told["points"]] == [1, 4]
    assert told["points"][0]["accuracy"] == pytest.approx(means[0])


def test_bad_input(digits: fewshot.EmbeddingTable) -> None:
    learner = fewshot.create_learner("prototypical")
    with pytest.raises(InvalidInput, match="rising order"):
        learning_curve(digits, learner, shots=(4, 2))
    with pytest.raises(fewshot.FewshotError, match="items"):
        learning_curve(digits, learner, shots=(1, 1000))
    with pytest.raises(InvalidInput, match="a column for each"):
        LearningCurve((1, 2), torch.zeros(3, 3), 5)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        LearningCurve((1, 2), torch.full((3, 2), torch.nan), 5)
    with pytest.raises(InvalidInput, match="starts at 2"):
        LearningCurve((2, 4), torch.zeros(3, 2), 5).up_to(1)
