"""Each score against its paper's formula, written out in loops of float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.transferability import SCORES, gbc, h_score, leep, logme, nce, nleep, shrunk_h_score, transrate
from fewshot.transfer.transferability.nleep import cluster_posteriors

# (items, dim, classes): more items than features, fewer, two classes alone, and many
SHAPES = [(60, 5, 3), (24, 40, 4), (20, 6, 2), (80, 12, 10)]


def _case(items: int, dim: int, classes: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(items + dim)
    labels = np.concatenate([np.arange(classes), np.arange(classes), rng.integers(0, classes, items - 2 * classes)])
    means = rng.normal(size=(classes, dim))
    return means[labels] + spread * rng.normal(size=(items, dim)), labels


def _probabilities(items: int, width: int) -> np.ndarray:
    return np.random.default_rng(width).dirichlet(np.full(width, 0.5), items)


def _leep_by_loops(theta: np.ndarray, labels: np.ndarray) -> float:
    items, width = theta.shape
    classes = sorted(set(labels.tolist()))
    joint = {(y, z): sum(theta[i, z] for i in range(items) if labels[i] == y) / items
             for y in classes for z in range(width)}  # fmt: skip
    marginal = [sum(joint[y, z] for y in classes) for z in range(width)]
    total = 0.0
    for i in range(items):
        total += math.log(sum(joint[labels[i], z] / marginal[z] * theta[i, z] for z in range(width)))
    return total / items


@pytest.mark.parametrize(("items", "dim", "classes"), SHAPES)
def test_leep(items: int, dim: int, classes: int) -> None:
    _, labels = _case(items, dim, classes)
    theta = _probabilities(items, dim)
    assert leep(torch.tensor(theta), torch.tensor(labels)) == pytest.approx(_leep_by_loops(theta, labels), abs=1e-12)


def test_leep_of_a_source_that_knows_and_of_one_that_knows_nothing() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    assert leep(torch.eye(3)[labels], labels) == pytest.approx(0)
    assert leep(torch.full((6, 4), 0.25), labels) == pytest.approx(-math.log(3))  # the entropy of the labels


def _nce_by_loops(source: np.ndarray, labels: np.ndarray) -> float:
    total = 0.0
    for z in set(source.tolist()):
        for y in set(labels.tolist()):
            both = np.mean((source == z) & (labels == y))
            if both > 0:
                total += both * math.log(both / np.mean(source == z))
    return total


@pytest.mark.parametrize(("items", "dim", "classes"), SHAPES)
def test_nce(items: int, dim: int, classes: int) -> None:
    _, labels = _case(items, dim, classes)
    source = _probabilities(items, dim).argmax(1)
    expected = _nce_by_loops(source, labels)
    assert nce(torch.tensor(source), torch.tensor(labels)) == pytest.approx(expected, abs=1e-12)
    one_hot = np.eye(dim)[source]
    assert leep(torch.tensor(one_hot), torch.tensor(labels)) == pytest.approx(expected, abs=1e-12)  # Nguyen, sec. 5


@pytest.mark.parametrize(("items", "dim", "classes"), SHAPES)
def test_nleep_is_leep_of_the_clusters(items: int, dim: int, classes: int) -> None:
    features, labels = (torch.tensor(part) for part in _case(items, dim, classes))
    posteriors = cluster_posteriors(features, 0.8, 2 * classes, 0)
    assert posteriors.shape == (items, 2 * classes)
    found = nleep(features, labels, clusters_per_class=2)
    assert found == pytest.approx(_leep_by_loops(posteriors.numpy(), labels.numpy()), abs=1e-9)
    assert nleep(10 * features + 3, labels, clusters_per_class=2) == pytest.approx(found, abs=1e-3)


def _evidence(features: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """Log evidence an item by the dense formula: y is Gaussian with covariance I / beta + F Fᵀ / alpha."""
    items = len(y)
    covariance = np.eye(items) / beta + features @ features.T / alpha
    _, log_det = np.linalg.slogdet(covariance)
    return -(items * math.log(2 * math.pi) + log_det + y @ np.linalg.solve(covariance, y)) / 2 / items


def _logme_by_loops(features: np.ndarray, labels: np.ndarray) -> float:
    items, dim = features.shape
    found = []
    for k in sorted(set(labels.tolist())):
        y = (labels == k).astype(float)
        alpha, beta = 1.0, 1.0
        values = np.linalg.eigvalsh(features.T @ features).clip(min=0)
        for _ in range(500):
            precision = alpha * np.eye(dim) + beta * features.T @ features
            mean = beta * np.linalg.solve(precision, features.T @ y)
            gamma = sum(beta * v / (alpha + beta * v) for v in values)
            alpha = gamma / (mean @ mean)
            beta = (items - gamma) / np.sum((features @ mean - y) ** 2)
        found.append(_evidence(features, y, alpha, beta))
    return float(np.mean(found))


@pytest.mark.parametrize(("items", "dim", "classes"), [(60, 5, 3), (90, 12, 4), (20, 6, 2), (40, 60, 4)])
def test_logme(items: int, dim: int, classes: int) -> None:
    features, labels = _case(items, dim, classes, spread=2.0)
    found = logme(torch.tensor(features), torch.tensor(labels), steps=500, tolerance=1e-10)
    assert found == pytest.approx(_logme_by_loops(features, labels), abs=1e-6)


def test_logme_is_the_largest_evidence() -> None:
    features, labels = _case(90, 6, 2, spread=2.0)
    found = logme(torch.tensor(features), torch.tensor(labels), steps=500, tolerance=1e-10)
    one, other = (labels == 0).astype(float), (labels == 1).astype(float)
    grid = np.logspace(-3, 3, 121)
    best = sum(max(_evidence(features, y, a, b) for a in grid for b in np.logspace(0, 2, 41)) for y in (one, other)) / 2
    assert best <= found + 1e-9
    assert best == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize(("items", "dim", "classes"), SHAPES)
def test_h_score(items: int, dim: int, classes: int) -> None:
    features, labels = _case(items, dim, classes)
    means = np.stack([features[labels == label].mean(0) for label in labels])
    covariance, between = np.cov(features.T), np.cov(means.T)
    expected = np.trace(np.linalg.pinv(covariance, rcond=1e-12) @ between)
    assert h_score(torch.tensor(features), torch.tensor(labels)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("items", "dim", "classes"), SHAPES)
def test_shrunk_h_score(items: int, dim: int, classes: int) -> None:
    from sklearn.covariance import ledoit_wolf

    features, labels = _case(items, dim, classes)
    shrunk, shrinkage = ledoit_wolf(features)
    means = np.stack([features[labels == label].mean(0) for label in labels])
    between = np.cov(means.T, bias=True)
    expected = (1 - shrinkage) * np.trace(np.linalg.inv(shrunk) @ between)
    assert shrunk_h_score(torch.tensor(features), torch.tensor(labels)) == pytest.approx(expected, abs=1e-9)


def test_h_score_says_nothing_with_more_features_than_items_and_the_shrunk_one_does() -> None:
    features, labels = _case(24, 100, 4, spread=0.5)
    shuffled = np.random.default_rng(0).permutation(labels)
    true, false = torch.tensor(labels), torch.tensor(shuffled)
    x = torch.tensor(features)
    assert h_score(x, true) == pytest.approx(h_score(x, false)) == pytest.approx(3)
    assert shrunk_h_score(x, true) > shrunk_h_score(x, false) + 0.3


def _rate_by_loops(z: np.ndarray, eps: float) -> float:
    covariance = sum(np.outer(row, row) for row in z) / (len(z) * eps)
    return 0.5 * math.log(np.linalg.det(np.eye(z.shape[1]) + covariance))


@pytest.mark.parametrize(("items", "dim", "classes"), [(60, 5, 3), (14, 18, 4), (20, 6, 2), (80, 12, 10)])
@pytest.mark.parametrize("scaled", [False, True])
def test_transrate(items: int, dim: int, classes: int, scaled: bool) -> None:
    features, labels = _case(items, dim, classes)
    z = features - features.mean(0)
    if scaled:
        z = z / math.sqrt(sum(row @ row for row in z) / items)
    expected = _rate_by_loops(z, 1e-2)
    for k in set(labels.tolist()):
        expected -= (labels == k).sum() / items * _rate_by_loops(z[labels == k], 1e-2)
    found = transrate(torch.tensor(features), torch.tensor(labels), 1e-2, scaled)
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("gaussian", ["spherical", "diagonal"])
@pytest.mark.parametrize("dim", [3, 64])
def test_gbc(gaussian: str, dim: int) -> None:
    features, labels = _case(60, 5, 3)
    centred = features - features.mean(0)
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    reduced = centred @ vectors[:, np.argsort(-values)][:, :dim]
    expected = 0.0
    for one in range(3):
        for other in range(3):
            if one == other:
                continue
            a, b = reduced[labels == one], reduced[labels == other]
            va, vb = a.var(0), b.var(0)
            if gaussian == "spherical":
                va, vb = np.full_like(va, va.mean()), np.full_like(vb, vb.mean())
            distance = 0.0
            for d in range(reduced.shape[1]):
                middle = (va[d] + vb[d]) / 2
                distance += (a[:, d].mean() - b[:, d].mean()) ** 2 / middle / 8
                distance += math.log(middle / math.sqrt(va[d] * vb[d])) / 2
            expected -= math.exp(-distance)
    assert gbc(torch.tensor(features), torch.tensor(labels), gaussian, dim) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", list(SCORES))
def test_every_score_prefers_classes_that_lie_apart(name: str) -> None:
    _, labels = _case(120, 8, 3)
    means = torch.eye(8)[:3][torch.tensor(labels)]
    noise = torch.randn(120, 8, dtype=torch.float64)
    near, far = (means + spread * noise for spread in (2.0, 0.1))
    scores = [SCORES[name].of(x, torch.tensor(labels), (3 * x).softmax(1)) for x in (near, far)]
    if name == "transrate":  # as it stands it compares features of one scale only
        scores = [SCORES[name].of(x / x.std(), torch.tensor(labels)) for x in (near, far)]
    assert scores[0] < scores[1]


@pytest.mark.parametrize("name", list(SCORES))
def test_no_score_depends_on_the_order_or_the_numbers_of_classes(name: str) -> None:
    features, labels = (torch.tensor(part) for part in _case(60, 8, 3))
    first = SCORES[name].of(features, labels, features.softmax(1))
    assert SCORES[name].of(features, 7 - 2 * labels, features.softmax(1)) == pytest.approx(first, rel=1e-9)
    if name != "nleep":  # whose clusters start from other items then
        order = torch.randperm(60)
        again = SCORES[name].of(features[order], labels[order], features[order].softmax(1))
        assert again == pytest.approx(first, rel=1e-6)


def test_bad_input() -> None:
    features, labels = torch.randn(12, 4), torch.arange(12) % 3
    with pytest.raises(InvalidInput, match="two classes or more, found 1"):
        logme(features, torch.zeros(12, dtype=torch.int64))
    with pytest.raises(InvalidInput, match="the same"):
        h_score(torch.ones(12, 4), labels)
    with pytest.raises(InvalidInput, match="item 2"):
        gbc(torch.where(torch.arange(12)[:, None] == 2, torch.nan, features), labels)
    with pytest.raises(InvalidInput, match="12 integers"):
        transrate(features, labels[:5])
    with pytest.raises(InvalidInput, match="2 items of every class, found 1 of class 2"):
        gbc(features, torch.tensor([0, 1] * 5 + [0, 2]))
    with pytest.raises(InvalidInput, match="fits 15 clusters"):
        nleep(features, labels)
    with pytest.raises(InvalidInput, match="must sum to 1"):
        leep(features, labels)
    with pytest.raises(InvalidInput, match="needs the probabilities of the source's own classifier"):
        SCORES["leep"].of(features, labels)
    with pytest.raises(InvalidInput, match="distortion"):
        transrate(features, labels, 0)
    with pytest.raises(InvalidInput, match="spherical"):
        gbc(features, labels, "round")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="source_labels"):
        nce(features[:, 0], labels)
    with pytest.raises(UnknownName, match="logme"):
        SCORES["logm"]
