import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.zeroshot.attributes import calibrate, create_attribute_method, evaluate_attributes


def made(items=140, classes=7):
    attributes = torch.rand(classes, 6, dtype=torch.float64)
    labels = torch.arange(items) % classes
    features = attributes[labels] @ torch.randn(6, 12, dtype=torch.float64)
    return features + 0.3 * torch.randn_like(features), labels, attributes


def test_scores_are_those_of_predictions_class_by_class():
    features, labels, attributes = made()
    seen = torch.arange(7) < 4
    learned = seen[labels] & (torch.arange(140) < 70)
    model = create_attribute_method("eszsl").fit(features[learned], labels[learned], attributes[seen])
    test = ~learned
    found = evaluate_attributes(model, features[test], labels[test], attributes, seen, gamma=0.1)

    def accuracy(scores, classes):
        shares = [(scores[labels == k].argmax(1) == k)[test[labels == k]].double().mean() for k in classes]
        return float(sum(shares) / len(shares))

    scores = model.scores(features, attributes)
    stacked = scores - 0.1 * seen.double()
    a, b = accuracy(stacked, range(4)), accuracy(stacked, range(4, 7))
    assert (found.seen, found.unseen) == (pytest.approx(a), pytest.approx(b))
    assert found.harmonic == pytest.approx(2 * a * b / (a + b))
    assert found.zero_shot == pytest.approx(accuracy(scores.masked_fill(seen, -torch.inf), range(4, 7)))
    assert 0 < found.area < 1


def test_calibration_learns_nothing_of_validation_classes():
    features, labels, attributes = made()
    method, val = create_attribute_method("eszsl"), torch.tensor([1, 4])
    gamma, curve = calibrate(method, features, labels, attributes, val)
    assert calibrate(method, features, labels, attributes, val)[0] == gamma
    assert curve.at(gamma) == curve.at(curve.best_gamma())
    # the model behind the curve is the one fitted without them: other features of theirs leave seen accuracy alone
    changed = torch.where(torch.isin(labels, val)[:, None], -features, features)
    assert float(calibrate(method, changed, labels, attributes, val)[1].seen[0]) == float(curve.seen[0])
    for wrong in (torch.tensor([], dtype=torch.int64), torch.arange(6)):
        with pytest.raises(InvalidInput, match="validation needs a class, and training two or more"):
            calibrate(method, features, labels, attributes, wrong)
