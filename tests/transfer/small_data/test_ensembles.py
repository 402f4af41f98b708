"""Soft votes and stacking against plain loops, on features that are and are not of use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fewshot
from fewshot.episodes import SplitSampler
from fewshot.errors import InvalidInput
from fewshot.transfer.small_data import compare_ensembles, soft_vote, stacking_weights


def test_soft_vote() -> None:
    said = torch.rand(3, 5, 4)
    assert torch.allclose(soft_vote(said), (said[0] + said[1] + said[2]) / 3)
    weights = torch.tensor([0.5, 0.2, 0.3])
    assert torch.allclose(soft_vote(said, weights), 0.5 * said[0] + 0.2 * said[1] + 0.3 * said[2])


def test_stacking_weights_are_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    said, labels = rng.dirichlet(np.ones(3), (3, 40)), rng.integers(0, 3, 40)
    found = stacking_weights(torch.tensor(said), torch.tensor(labels), steps=5000).numpy()

    def likelihood(weights: np.ndarray) -> float:
        return sum(np.log(sum(weights[m] * said[m, i, labels[i]] for m in range(3))) for i in range(40))

    grid = [np.array([a, b, 100 - a - b]) / 100 for a in range(101) for b in range(101 - a)]
    best = max(grid, key=likelihood)
    assert found.sum() == pytest.approx(1)
    assert likelihood(found) >= likelihood(best) - 1e-9
    assert found == pytest.approx(best, abs=0.01)


def _tables() -> dict[str, fewshot.EmbeddingTable]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    whole = fewshot.EmbeddingTable(
        torch.tensor(pixels).float(), torch.tensor(labels).long(), tuple("0123456789"), tuple(map(str, range(1797)))
    )
    halves = {"left": pixels.reshape(-1, 8, 8)[:, :, :4], "right": pixels.reshape(-1, 8, 8)[:, :, 4:]}
    made = {
        name: replace(whole, features=torch.tensor(half.reshape(1797, 32)).float()) for name, half in halves.items()
    }
    return made | {"noise": replace(whole, features=torch.rand(1797, 32))}


def test_halves_of_digits_together_beat_each_and_stacking_leaves_out_the_noise() -> None:
    tables = _tables()
    episodes = fewshot.EpisodeSampler(tables["left"].labels, ways="all", shots=6, queries=20).sample(6)
    learner = fewshot.create_learner("ridge", scale=10.0)
    found = compare_ensembles(tables, episodes, learner, folds=3)
    means = {name: float(values.mean()) for name, values in found.items()}
    assert means["noise"] < 0.15
    assert means["stacked"] > max(means["left"], means["right"]) + 0.03
    assert means["stacked"] >= means["soft vote"] - 0.01
    alone = fewshot.evaluate(learner, tables["left"], episodes).per_episode
    assert torch.allclose(found["left"], alone)


def test_bad_input() -> None:
    tables = _tables()
    learner = fewshot.create_learner("logistic")
    episodes = fewshot.EpisodeSampler(tables["left"].labels, ways="all", shots=2, queries=5).sample(2)
    with pytest.raises(InvalidInput, match="one of 3 folds"):
        compare_ensembles(tables, episodes, learner, folds=3)
    with pytest.raises(InvalidInput, match="'other' has others"):
        compare_ensembles(tables | {"other": tables["left"].select(torch.arange(900))}, episodes, learner)
    with pytest.raises(InvalidInput, match="transductive"):
        compare_ensembles(tables, episodes, fewshot.create_learner("pt-map"))
    half = tables["left"].labels < 5
    parts = torch.arange(len(half)) % 2 == 0
    others = SplitSampler(tables["left"].labels, half & parts, ~half & ~parts, shots=3, new=True).sample(2)
    with pytest.raises(InvalidInput, match="these episodes ask for other classes than their support has"):
        compare_ensembles(tables, others, learner)
    with pytest.raises(InvalidInput, match="found none"):
        compare_ensembles({}, episodes, learner)
    with pytest.raises(InvalidInput, match="a label for each"):
        stacking_weights(torch.rand(2, 3, 4), torch.zeros(5))
