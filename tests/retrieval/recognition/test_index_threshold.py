"""Thresholds keep the rate of false accepts they promise: shown by coverage over many draws of everything."""

import math

import numpy as np
import pytest
import torch

from fewshot import EmbeddingTable, Index
from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition import Rule, calibrate
from fewshot.retrieval.recognition.threshold import conformal_threshold


def beyond(threshold, spread: float = 1.0) -> float:
    """The probability that a normal variable lies above a threshold."""
    return 0.5 * math.erfc(threshold / spread / math.sqrt(2))


def mean_and_error(rates) -> tuple[float, float]:
    return float(np.mean(rates)), float(np.std(rates) / math.sqrt(len(rates)))


@pytest.mark.parametrize(("count", "rate"), [(99, 0.05), (57, 0.1), (30, 0.033), (10, 0.5)])
def test_the_rate_of_pictures_drawn_alike_is_exactly_that_of_the_formula(count, rate) -> None:
    random = np.random.default_rng(count)
    scores = random.normal(size=(2500, count))
    names = np.arange(count)
    mean, error = mean_and_error([beyond(conformal_threshold(row, names, rate, left_out=False)) for row in scores])
    exact = math.floor(rate * (count + 1) + 1e-9) / (count + 1)
    assert abs(mean - exact) < 4 * error
    assert exact <= rate


def test_the_rate_holds_for_new_classes_where_pictures_of_a_class_are_alike() -> None:
    random = np.random.default_rng(0)
    rate, by_class, by_picture = 0.1, [], []
    for _ in range(1500):
        sizes = random.integers(1, 12, size=14)
        groups = np.repeat(np.arange(14), sizes)
        scores = random.normal(size=14)[groups] + 0.3 * random.normal(size=len(groups))
        spread = math.sqrt(1 + 0.3**2)
        by_class.append(beyond(conformal_threshold(scores, groups, rate, left_out=False), spread))
        by_picture.append(beyond(conformal_threshold(scores, np.arange(len(groups)), rate, left_out=False), spread))
    mean, error = mean_and_error(by_class)
    assert mean < rate + 3 * error
    assert mean > rate / 3  # and not by accepting nothing
    mean, error = mean_and_error(by_picture)
    assert mean > rate + 6 * error  # what the classes are for: without them the promise is broken


def one_item_a_class(random, classes: int, shots: int = 1, dim: int = 5):
    """Unit items (C, shots, D) of classes that crowd together, as strangers would come too."""
    centres = random.normal(size=(classes, 1, dim)) * np.linspace(1.5, 0.2, dim)
    items = centres + 0.3 * random.normal(size=(classes, shots, dim))
    return items / np.linalg.norm(items, axis=2, keepdims=True)


def left_out(items) -> np.ndarray:
    """Closeness (C,) of the item of each class to the nearest of another."""
    products = items @ items.T
    np.fill_diagonal(products, -np.inf)
    return products.max(1)


def margins(products) -> np.ndarray:
    """For each row the largest less the second largest."""
    first_two = np.sort(products, axis=1)[:, -2:]
    return first_two[:, 1] - first_two[:, 0]


@pytest.mark.parametrize("classes", [59, 99])
def test_classes_left_out_keep_the_rate_by_margins(classes) -> None:
    random = np.random.default_rng(7)
    accepted = []
    for _ in range(1500):
        drawn = one_item_a_class(random, classes + 1)[:, 0]
        products = drawn[:classes] @ drawn[:classes].T
        np.fill_diagonal(products, -np.inf)
        threshold = conformal_threshold(margins(products), np.arange(classes), 0.1, left_out=True)
        accepted.append(margins((drawn[:classes] @ drawn[classes])[None])[0] > threshold)
    mean, error = mean_and_error(accepted)
    assert 0.05 < mean <= 0.1 + 2 * error


@pytest.mark.parametrize(("classes", "rate"), [(39, 0.05), (59, 0.1)])
def test_classes_left_out_keep_the_rate_for_one_item_a_class(classes, rate) -> None:
    random = np.random.default_rng(1)
    kept = []
    for _ in range(1500):
        drawn = one_item_a_class(random, classes + 1)[:, 0]
        items, stranger = drawn[:classes], drawn[classes]
        scores, names = left_out(items), np.arange(classes)
        score = (items @ stranger).max()
        kept.append(score > conformal_threshold(scores, names, rate, left_out=True))
    mean, error = mean_and_error(kept)
    assert mean <= rate + 2 * error
    assert mean > rate / 5


def test_the_item_a_stranger_is_nearest_to_must_be_counted() -> None:
    """Of 20 pictures two are the closest pair: one drawn last is one of them twice as often as the rate allows."""
    random = np.random.default_rng(6)
    accepted = []
    for _ in range(2000):
        drawn = one_item_a_class(random, 20)[:, 0]
        threshold = conformal_threshold(left_out(drawn[:19]), np.arange(19), 0.05, left_out=False)
        accepted.append((drawn[:19] @ drawn[19]).max() > threshold)
    mean, error = mean_and_error(accepted)
    assert abs(mean - 0.1) < 3 * error
    with pytest.raises(InvalidInput, match="at least 39 are needed"):
        conformal_threshold(left_out(drawn[:19]), np.arange(19), 0.05, left_out=True)


def test_classes_left_out_come_near_the_rate_for_class_means_and_several_items() -> None:
    random = np.random.default_rng(2)
    classes, shots, rate, accepted = 60, 3, 0.1, []
    groups = np.repeat(np.arange(classes), shots)
    for _ in range(800):
        drawn = one_item_a_class(random, classes + 1, shots)
        means = drawn[:classes].mean(1)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        products = drawn[:classes].reshape(-1, drawn.shape[2]) @ means.T
        products[np.arange(len(groups)), groups] = -np.inf
        threshold = conformal_threshold(products.max(1), groups, rate, left_out=True)
        accepted.append((drawn[classes, 0] @ means.T).max() > threshold)
    mean, error = mean_and_error(accepted)
    assert rate / 3 < mean <= 1.2 * rate + 2 * error


def test_by_hand() -> None:
    scores, names = np.array([0.1, 0.9, 0.5, 0.7]), np.arange(4)
    assert conformal_threshold(scores, names, 0.2, left_out=False) == 0.9  # none of four may be reached
    assert conformal_threshold(scores, names, 0.39, left_out=False) == 0.9
    assert conformal_threshold(scores, names, 0.4, left_out=False) == 0.7  # one may
    assert conformal_threshold(scores, names, 0.4, left_out=True) == 0.9
    assert conformal_threshold(scores, names, 0.99, left_out=False) == 0.1
    # two pictures of one class share its weight, 1/4: classes {.9, .1}, {.5}, {.7}
    assert conformal_threshold(scores, np.array([0, 0, 1, 2]), 0.375, left_out=False) == 0.7
    assert conformal_threshold(scores, np.array([0, 0, 1, 2]), 0.37, left_out=False) == 0.9
    # equal scores are reached together or not at all
    assert conformal_threshold(np.array([0.5, 0.5, 0.5, 0.1]), names, 0.6, left_out=False) == 0.5
    assert conformal_threshold(np.array([0.5, 0.5, 0.5, 0.1]), names, 0.8, left_out=False) == 0.1


@pytest.mark.parametrize("left_out", [False, True])
def test_too_few_classes_are_told_how_many_it_takes(left_out) -> None:
    least = 199 if left_out else 99
    scores = np.random.default_rng(0).normal(size=least)
    assert conformal_threshold(scores, np.arange(least), 0.01, left_out) == scores.max()
    with pytest.raises(InvalidInput, match=f"at least {least} are needed"):
        conformal_threshold(scores[1:], np.arange(least - 1), 0.01, left_out)
    for count in (41, 60, 200):
        with pytest.raises(InvalidInput, match="can't prove") as refused:
            conformal_threshold(scores[:1].repeat(count), np.arange(count), 1e-4, left_out)
        advised = float(str(refused.value).split("ask for ")[1].split(" ")[0])
        assert conformal_threshold(scores[:1].repeat(count), np.arange(count), advised, left_out) == scores[0]
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        conformal_threshold(scores, np.arange(least), 1.0, left_out)


def stage(random, classes: int, dim: int = 8):
    """Unit features of classes: one to index, one to ask."""
    drawn = one_item_a_class(random, classes, 2, dim).astype(np.float32)
    return drawn[:, 0], drawn[:, 1]


@pytest.mark.parametrize(
    "rule", [Rule(), Rule(k=3), Rule("mean"), Rule(evidence="score")], ids=lambda rule: f"{rule}-{rule.evidence}"
)
def test_an_index_keeps_the_rate_over_draws_of_strangers(tmp_path, rule) -> None:
    random = np.random.default_rng(3)
    indexed, asked = stage(random, 700)
    names = tuple(f"c{number:03d}" for number in range(700))
    table = EmbeddingTable(torch.from_numpy(indexed[:100]), torch.arange(100), names[:100], names[:100])
    index = Index.build(table, tmp_path / "index", progress=False)
    rates = []
    for _ in range(20):
        order = 100 + random.permutation(600)
        known, new = order[:99], order[99:]
        threshold = calibrate(index, 0.1, rule, asked[known], [names[number] for number in known])
        assert (threshold.classes, threshold.items, threshold.source) == (99, 99, "strangers")
        rates.append(np.mean([each.accepted for each in index.classify(asked[new], rule=rule, reject_at=threshold)]))
    mean, error = mean_and_error(rates)
    assert abs(mean - 0.1) < 0.02 + 3 * error
    threshold = calibrate(index, 0.1, rule)
    assert (threshold.classes, threshold.items, threshold.source) == (100, 100, "index")
    accepted = np.mean([each.accepted for each in index.classify(asked[100:], rule=rule, reject_at=threshold)])
    assert accepted < 0.17


def test_wrong_strangers_are_refused(tmp_path) -> None:
    indexed, asked = stage(np.random.default_rng(4), 30)
    names = tuple(f"c{number:03d}" for number in range(30))
    table = EmbeddingTable(torch.from_numpy(indexed), torch.arange(30), names, names)
    index = Index.build(table, tmp_path / "index", progress=False)
    with pytest.raises(InvalidInput, match="c001: in the index"):
        calibrate(index, 0.5, strangers=asked[:3], classes=["a", "c001", "b"])
    with pytest.raises(InvalidInput, match="3 strangers need as many classes, found 2"):
        calibrate(index, 0.5, strangers=asked[:3], classes=["a", "b"])
    with pytest.raises(InvalidInput, match="without strangers"):
        calibrate(index, 0.5, classes=["a", "b"])
    pictures = calibrate(index, 0.5, strangers=asked)
    assert (pictures.classes, pictures.items) == (30, 30)


def test_a_sample_of_a_large_index_is_spread_over_its_classes() -> None:
    from fewshot.retrieval.recognition.calibrating import LEFT_OUT, _sample

    random = np.random.default_rng(5)
    classes = np.concatenate([np.zeros(20_000, np.int64), np.arange(1, 100).repeat(50)])
    random.shuffle(classes)
    chosen = _sample(classes, 100, 0)
    assert len(np.unique(chosen)) == len(chosen)
    assert np.bincount(classes[chosen]).max() == LEFT_OUT // 100
    assert np.bincount(classes[chosen]).min() == min(50, LEFT_OUT // 100)
    many = random.permutation(np.arange(9000).repeat(2))
    chosen = _sample(many, 9000, 0)
    assert len(np.unique(many[chosen])) == len(chosen) == LEFT_OUT
    assert not np.array_equal(chosen, _sample(many, 9000, 1))
