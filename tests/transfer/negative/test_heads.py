"""Weighted and pulled linear heads, selection and TrAdaBoost, each against plain loops of float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.negative import LinearHead, agreeing_items, agreement_by_class, fit_head, tradaboost


def _case(items: int, dim: int, ways: int, seed: int = 0, spread: float = 0.7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(items) % ways
    means = torch.randn(ways, dim, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return means[labels] + spread * torch.randn(items, dim, generator=generator, dtype=torch.float64), labels


@pytest.mark.parametrize(("items", "dim"), [(30, 4), (9, 15)])
@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_head_is_the_optimum(items: int, dim: int, pulled: bool, weighted: bool) -> None:
    features, labels = _case(items, dim, 3)
    towards = LinearHead(torch.randn(3, dim, dtype=torch.float64), torch.zeros(3)) if pulled else None
    weights = torch.rand(items, dtype=torch.float64) if weighted else None
    head = fit_head(features, labels, 3, 0.5, weights, towards)

    def objective(weight: np.ndarray, bias: np.ndarray) -> float:
        total = 0.0
        for i in range(items):
            for k in range(3):
                gap = weight[k] @ features[i].numpy() + bias[k] - float(labels[i] == k)
                total += (float(weights[i]) if weights is not None else 1.0) * gap**2
        start = towards.weight.numpy() if towards else np.zeros((3, dim))
        return total + 0.5 * float(((weight - start) ** 2).sum())

    weight, bias = head.weight.numpy(), head.bias.numpy()
    best = objective(weight, bias)
    step = 1e-5
    for k in range(3):  # the objective is convex: where its gradient is 0, it is least
        for d in range(dim):
            moved = weight.copy()
            moved[k, d] += step
            back = weight.copy()
            back[k, d] -= step
            assert (objective(moved, bias) - objective(back, bias)) / (2 * step) == pytest.approx(0, abs=1e-6)
        shifted = bias.copy()
        shifted[k] += step
        assert objective(weight, shifted) == pytest.approx(best, abs=1e-6)
        assert objective(weight, shifted) >= best


def test_a_strong_pull_gives_the_other_head_and_a_weak_one_ignores_it() -> None:
    features, labels = _case(30, 4, 3)
    other = LinearHead(torch.randn(3, 4, dtype=torch.float64), torch.zeros(3))
    assert torch.allclose(fit_head(features, labels, 3, 1e9, towards=other).weight, other.weight, atol=1e-6)
    free = fit_head(features, labels, 3, 1e-9)
    assert torch.allclose(fit_head(features, labels, 3, 1e-9, towards=other).weight, free.weight, atol=1e-6)


def test_a_weight_of_two_is_the_item_twice() -> None:
    features, labels = _case(12, 5, 3)
    weights = torch.tensor([2.0, 1, 0] + [1.0] * 9)
    twice = torch.tensor([0, 0, 1, *range(3, 12)])
    found, expected = fit_head(features, labels, 3, weights=weights), fit_head(features[twice], labels[twice], 3)
    assert torch.allclose(found.weight, expected.weight)
    assert torch.allclose(found.bias, expected.bias)


def test_agreeing_items() -> None:
    source, labels = _case(60, 6, 3, seed=1, spread=0.3)
    target, target_labels = _case(15, 6, 3, seed=2, spread=0.3)
    flipped = torch.where(torch.arange(60) < 30, (labels + 1) % 3, labels)
    kept = agreeing_items(source, flipped, target, target_labels, 3)
    assert kept[30:].double().mean() > 0.9
    assert kept[:30].double().mean() < 0.1
    scores = fit_head(target, target_labels, 3)(source)
    for i in range(60):
        better = sum(float(scores[i, k]) > float(scores[i, flipped[i]]) for k in range(3))
        assert bool(agreeing_items(source, flipped, target, target_labels, 3, top=2)[i]) == (better < 2)
    assert bool(agreeing_items(source, flipped, target, target_labels, 3, top=3).all())
    shares = agreement_by_class(kept, flipped, 3)
    assert shares[0] == pytest.approx(float(kept[flipped == 0].double().mean()))


@pytest.mark.parametrize("rounds", [2, 5, 8])
def test_tradaboost_by_loops(rounds: int) -> None:
    source, labels = _case(40, 6, 3, seed=1, spread=1.0)
    target, target_labels = _case(12, 6, 3, seed=2, spread=1.0)
    labels = torch.where(torch.arange(40) < 20, (labels + 1) % 3, labels)
    found = tradaboost(source, labels, target, target_labels, 3, rounds)

    x, y = torch.cat([source, target]), torch.cat([labels, target_labels])
    w = [1.0] * 40 + [40 / 12] * 12
    beta = 1 / (1 + math.sqrt(2 * math.log(40) / rounds))
    votes = np.zeros((52, 3))
    for t in range(1, rounds + 1):
        mean = sum(w) / 52
        predicted = fit_head(x, y, 3, 1.0, torch.tensor([each / mean for each in w])).predict(x)
        wrong = [int(predicted[i] != y[i]) for i in range(52)]
        error = sum(w[i] * wrong[i] for i in range(40, 52)) / sum(w[40:])
        error = min(max(error, 0.001), 0.499)
        beta_t = error / (1 - error)
        for i in range(52):
            w[i] *= beta ** wrong[i] if i < 40 else beta_t ** -wrong[i]
        if t >= math.ceil(rounds / 2):
            for i in range(52):
                votes[i, predicted[i]] += math.log(1 / beta_t)
    assert found.predict(x).tolist() == votes.argmax(1).tolist()
    assert found.source_weights.tolist() == pytest.approx([each / sum(w[40:]) for each in w[:40]])


def test_tradaboost_takes_the_weight_off_flipped_labels() -> None:
    source, labels = _case(200, 6, 3, seed=1, spread=0.4)
    target, target_labels = _case(15, 6, 3, seed=2, spread=0.4)
    flipped = torch.where(torch.arange(200) < 80, (labels + 1) % 3, labels)
    weights = tradaboost(source, flipped, target, target_labels, 3, rounds=40).source_weights
    assert weights[:80].mean() < 0.1 * weights[80:].mean()


def test_bad_input() -> None:
    features, labels = _case(12, 4, 3)
    with pytest.raises(InvalidInput, match="an integer label for each"):
        fit_head(features, labels[:3], 3)
    with pytest.raises(InvalidInput, match=r"lie in \[0, 2\)"):
        fit_head(features, labels, 2)
    with pytest.raises(InvalidInput, match="penalty"):
        fit_head(features, labels, 3, 0)
    with pytest.raises(InvalidInput, match="not all of them 0"):
        fit_head(features, labels, 3, weights=torch.zeros(12))
    with pytest.raises(InvalidInput, match="finite"):
        fit_head(torch.where(features > 1, torch.nan, features), labels, 3)
    with pytest.raises(InvalidInput, match="pull towards"):
        fit_head(features, labels, 3, towards=LinearHead(torch.zeros(3, 7), torch.zeros(3)))
    with pytest.raises(InvalidInput, match=r"1\.\.3"):
        agreeing_items(features, labels, features, labels, 3, top=4)
    with pytest.raises(InvalidInput, match="2 rounds"):
        tradaboost(features, labels, features, labels, 3, rounds=1)
