"""The probe in closed form against plain ridge regression, item left out by item left out."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

from fewshot.errors import InvalidInput, SamplingError
from fewshot.transfer.layers import check_labels, choose_blend, compare_layers, draw_layers, fold_splits, shot_splits
from fewshot.transfer.layers.probe import STRENGTHS, probe_predictions, unit_gram


def data(seed: int, classes: int = 3, each: int = 6, dim: int = 10, noise: float = 0.8):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, dim, generator=draw, dtype=torch.float64)
    labels = torch.arange(classes).repeat(each)
    return centres[labels] + noise * torch.randn(len(labels), dim, generator=draw, dtype=torch.float64), labels


def ridge(features, targets, penalty):
    """Weights and bias of min |Xw + b - y|^2 + penalty |w|^2, by the normal equations of centred features."""
    mean, middle = features.mean(0), targets.mean(0)
    centred = features - mean
    weights = torch.linalg.solve(
        centred.T @ centred + penalty * torch.eye(features.shape[1]).double(), centred.T @ (targets - middle)
    )
    return weights, middle - mean @ weights


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dim", [4, 30])
def test_the_probe_is_ridge_with_its_penalty_chosen_by_leaving_one_out(seed, dim):
    features, labels = data(seed, dim=dim, noise=1.5)
    features = normalize(features, dim=1)
    train, test = shot_splits(labels, 4, 1, seed)[0]
    known, targets = features[train], one_hot(labels[train], 3).double()
    scale = (known - known.mean(0)).square().sum() / len(train)
    errors = []
    for strength in STRENGTHS:
        error = 0.0
        for left in range(len(train)):
            others = torch.arange(len(train)) != left
            # the mean is that of the others, the penalty that of all
            weights, bias = ridge(known[others], targets[others], strength * scale)
            error += float((known[left] @ weights + bias - targets[left]).square().sum())
        errors.append(error)
    weights, bias = ridge(known, targets, STRENGTHS[errors.index(min(errors))] * scale)
    expected = (features[test] @ weights + bias).argmax(1)
    assert torch.equal(probe_predictions(unit_gram(features), labels, train, test, 3), expected)


def test_a_blend_is_the_sum_of_gram_matrices():
    one, two = data(0)[0], data(1, dim=5)[0]
    side_by_side = torch.cat([normalize(one, dim=1), normalize(two, dim=1)], dim=1)
    torch.testing.assert_close(unit_gram(one) + unit_gram(two), side_by_side @ side_by_side.T)


def test_features_that_cannot_be_probed():
    with pytest.raises(InvalidInput, match="features must be finite"):
        unit_gram(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))
    with pytest.raises(InvalidInput, match="all items have the same features"):
        unit_gram(torch.ones(5, 3))


def test_folds_hold_each_item_once_and_every_class():
    labels = torch.tensor([0] * 7 + [1] * 5 + [2] * 6)
    splits = fold_splits(labels, 5, 2)
    assert len(splits) == 10
    for repeat in (splits[:5], splits[5:]):
        assert torch.cat([test for _, test in repeat]).sort().values.tolist() == list(range(18))
    for train, test in splits:
        assert set(labels[test].tolist()) == {0, 1, 2}
        assert set(train.tolist()).isdisjoint(test.tolist())
    assert any(not torch.equal(one[1], other[1]) for one, other in zip(splits[:5], splits[5:], strict=True))


def test_shots_are_so_many_of_each_class():
    labels = torch.tensor([0] * 7 + [1] * 5 + [3] * 6)
    for train, test in shot_splits(labels, 3, 4):
        assert labels[train].bincount().tolist() == [3, 3, 0, 3]
        assert len(train) + len(test) == 18


def test_labels_that_are_refused():
    with pytest.raises(InvalidInput, match="two classes or more are needed to tell them apart, found 1"):
        fold_splits(torch.zeros(9, dtype=torch.int64), 3)
    with pytest.raises(SamplingError, match="a split into 5 folds needs 5 items of every class: dog has 3"):
        fold_splits(torch.tensor([0] * 9 + [1] * 3), 5, class_names=("cat", "dog"))
    with pytest.raises(SamplingError, match="4 shots, and one more to score, needs 5 items of every class: 1 has 4"):
        shot_splits(torch.tensor([0] * 9 + [1] * 4), 4)
    with pytest.raises(InvalidInput, match="folds must be 2 or more, found 1"):
        fold_splits(torch.tensor([0, 1, 0, 1]), 1)
    assert check_labels(torch.tensor([0, 2, 2]), 1) == 3


def test_the_best_blend_is_found_and_nothing_is_learned_from_what_is_scored():
    one, labels = data(0, classes=4, each=12, dim=6, noise=1.0)
    noise = torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(9)).double()
    two = data(3, classes=4, each=12, dim=6, noise=1.0)[0]
    features = {"noise": noise, "one": one, "two": two}
    splits = shot_splits(labels, 6, 6)
    found = compare_layers(features, labels, splits, largest=2)
    assert list(found.accuracies) == ["noise", "one", "two"]
    assert found.interval("noise").mean < 0.5 < found.interval("one").mean
    assert set(found.advice) == {"one", "two"}
    assert found.interval("blend").mean > found.interval("noise").mean
    assert len(found.blend) == len(found.blends) == len(found.single) == 6
    assert found.to_json()["gain"]["over"] == "two"
    train, test = splits[0]
    for each in (one, two, noise):
        each[test] = each[test].flip(0) * 100  # changes no choice
    grams = {name: unit_gram(values) for name, values in features.items()}
    assert choose_blend(grams, labels, train, 2) == (found.blends[0], found.singles[0])


def test_with_one_shot_there_is_nothing_to_choose_by():
    features, labels = data(0)
    found = compare_layers({"a": features, "b": features * 2 + 1}, labels, shot_splits(labels, 1, 3))
    assert found.blends == (("a", "b"),) * 3
    assert found.singles == ("b",) * 3


def test_the_picture(tmp_path):
    features, labels = data(0)
    found = compare_layers({"a": features, "b": features**2}, labels, fold_splits(labels, 3, 1))
    draw_layers(found, tmp_path / "layers.png", "digits")
    assert (tmp_path / "layers.png").read_bytes()[:4] == b"\x89PNG"
