from itertools import pairwise

import pytest
import torch
from sklearn.metrics import recall_score

from fewshot.errors import InvalidInput
from fewshot.metrics import calibrated_stacking, harmonic_mean, mean_class_accuracy, seen_unseen_curve


def made(items=60, classes=7, unseen=3, ties=False):
    scores = torch.randn(items, classes, dtype=torch.float64)
    labels = torch.arange(items) % classes
    scores[torch.arange(items), labels] += 1
    if ties:
        scores = (2 * scores).round() / 2
    return scores, labels, torch.arange(classes) >= unseen


def accuracies(scores, labels, seen, gamma):
    """Predict item by item with gamma taken off, unseen winning ties; scikit-learn's mean recall of each half."""
    guesses = []
    for row in scores.tolist():
        stacked = [(s - gamma, False, -k) if seen[k] else (s, True, -k) for k, s in enumerate(row)]
        guesses.append(-max(stacked)[2])
    guesses = torch.tensor(guesses)
    found = []
    for kind in (seen[labels], ~seen[labels]):
        recalls = [(guesses[labels == k] == k).double().mean() for k in labels[kind].unique()]
        found.append(float(sum(recalls) / len(recalls)))
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("unseen", [1, 3, 6])
def test_curve_is_calibrated_stacking_at_every_gamma(ties, unseen):
    scores, labels, seen = made(unseen=unseen, ties=ties)
    curve = seen_unseen_curve(scores, labels, seen)
    gammas = torch.linspace(-6, 6, 25, dtype=torch.float64)  # with ties, at the very margins too
    for gamma in gammas.tolist():
        assert curve.at(gamma) == pytest.approx(accuracies(scores, labels, seen, gamma), abs=1e-12)
    assert curve.at(-float("inf")) == pytest.approx(accuracies(scores, labels, seen, -1e9), abs=1e-12)
    assert curve.at(float("inf")) == pytest.approx(accuracies(scores, labels, seen, 1e9), abs=1e-12)
    assert (curve.seen[-1], curve.unseen[0]) == (0, 0)


@pytest.mark.parametrize("ties", [False, True])
def test_area_is_that_of_the_points(ties):
    scores, labels, seen = made(ties=ties)
    margins = sorted({float(row[seen].max() - row[~seen].max()) for row in scores})
    points = [accuracies(scores, labels, seen, gamma + 1e-9) for gamma in [-1e9, *margins]]
    area = sum((x1 - x0) * (y0 + y1) / 2 for (y0, x0), (y1, x1) in pairwise(points))
    assert seen_unseen_curve(scores, labels, seen).area == pytest.approx(area, abs=1e-12)


def test_area_of_perfect_and_of_useless_scores():
    labels, seen = torch.arange(6), torch.tensor([True] * 3 + [False] * 3)
    assert seen_unseen_curve(torch.eye(6), labels, seen).area == 1
    assert seen_unseen_curve(torch.eye(6).roll(1, 0), labels, seen).area == 0


def test_best_gamma_has_the_best_harmonic_mean():
    scores, labels, seen = made()
    curve = seen_unseen_curve(scores, labels, seen)
    seen_at, unseen_at = accuracies(scores, labels, seen, curve.best_gamma())
    best = max(2 * a * b / (a + b) for a, b in zip(curve.seen.tolist(), curve.unseen.tolist(), strict=True) if a + b)
    assert 2 * seen_at * unseen_at / (seen_at + unseen_at) == pytest.approx(best, abs=1e-12)
    stacked = calibrated_stacking(scores, seen, curve.best_gamma()).argmax(1)
    assert mean_class_accuracy(stacked[seen[labels]], labels[seen[labels]]) == pytest.approx(seen_at, abs=1e-12)


def test_float32_scores_make_the_same_curve():
    scores, labels, seen = made()
    scores = scores.float()
    wide, narrow = seen_unseen_curve(scores.double(), labels, seen), seen_unseen_curve(scores, labels, seen)
    assert torch.equal(wide.gammas, narrow.gammas)
    assert wide.area == narrow.area


def test_mean_class_accuracy_is_scikit_learns():
    labels = torch.tensor([0, 0, 0, 0, 2, 2, 5])
    guesses = torch.tensor([0, 0, 1, 0, 2, 5, 2])
    expected = recall_score(labels, guesses, labels=[0, 2, 5], average="macro", zero_division=0)
    assert mean_class_accuracy(guesses, labels) == pytest.approx(expected)
    assert mean_class_accuracy(guesses, labels) == pytest.approx((0.75 + 0.5 + 0) / 3)


def test_harmonic_mean():
    found = harmonic_mean(torch.tensor([0.5, 0.0, 0.8, 0.0]), torch.tensor([0.5, 0.7, 0.2, 0.0]))
    assert found.tolist() == pytest.approx([0.5, 0, 0.32, 0])


def test_bad_input_is_told():
    scores, labels, seen = made()
    with pytest.raises(InvalidInput, match="found no unseen ones"):
        seen_unseen_curve(scores, labels.clamp(min=3), seen)
    with pytest.raises(InvalidInput, match=r"found \(60, 6\), \(60,\), \(7,\)"):
        seen_unseen_curve(scores[:, :6], labels, seen)
    with pytest.raises(InvalidInput, match="found others for item 4"):
        seen_unseen_curve(scores.index_fill(0, torch.tensor([4]), torch.nan), labels, seen)
    with pytest.raises(InvalidInput, match=r"labels must lie in \[0, 7\)"):
        seen_unseen_curve(scores, labels + 1, seen)
    with pytest.raises(InvalidInput, match=r"found \(2,\) and \(3,\)"):
        mean_class_accuracy(labels[:2], labels[:3])
