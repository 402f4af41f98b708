import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fewshot.classify import Calibration, temperature
from fewshot.classify.examples import Examples
from fewshot.classify.temperature import calibrate, fit_temperature
from fewshot.errors import InvalidInput
from fewshot.learners import create_learner


def drawn(count, ways, temperature, seed=0):
    """Logits, and labels drawn from their softmax at a temperature."""
    noise = np.random.default_rng(seed)
    logits = noise.normal(0, 3, (count, ways))
    labels = (logits / temperature + noise.gumbel(size=logits.shape)).argmax(1)
    return logits, labels


def loss(inverse, logits, labels):
    count, ways = logits.shape
    target = np.full((count, ways), 1 / (count + 2) / (ways - 1))
    target[np.arange(count), labels] = 1 - 1 / (count + 2)
    return -(target * log_softmax(logits * inverse, axis=1)).sum()


@pytest.mark.parametrize(("count", "ways"), [(5, 2), (40, 3), (300, 20)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_it_is_the_most_probable_temperature(count, ways, scale):
    logits, labels = drawn(count, ways, 2.0)
    found = minimize_scalar(lambda log: loss(np.exp(log), logits, labels), bounds=(-9, 9), options={"xatol": 1e-9})
    temperature = fit_temperature(torch.from_numpy(logits * scale), torch.from_numpy(labels))
    assert temperature == pytest.approx(scale / np.exp(found.x), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_true_temperature_is_found(temperature):
    logits, labels = drawn(20_000, 5, temperature)
    assert fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("count", [4, 40])
def test_confidence_says_how_few_were_right(count):
    logits, labels = torch.eye(2, dtype=torch.float64).repeat(count // 2, 1), torch.arange(2).repeat(count // 2)
    confidence = (logits / fit_temperature(logits, labels)).softmax(1).amax(1)
    torch.testing.assert_close(confidence, torch.full_like(confidence, 1 - 1 / (count + 2)))


def test_shapes_are_checked():
    for logits, labels in ((torch.zeros(3, 1), torch.zeros(3).long()), (torch.zeros(0, 2), torch.zeros(0).long())):
        with pytest.raises(InvalidInput, match="needs logits"):
            fit_temperature(logits, labels)


def test_calibration_makes_confidence_honest():
    logits, labels = (torch.from_numpy(each) for each in drawn(3000, 4, 3.0))
    calibration = Calibration.of(torch.cat([logits, torch.full((5, 4), torch.nan)]), torch.cat([labels, labels[:5]]))
    assert calibration.examples == 3000
    assert calibration.ece_after < 0.02 < 0.1 < calibration.ece_before
    assert Calibration.of(torch.full((5, 4), torch.nan), labels[:5]) == Calibration()


def test_confidence_is_even_where_predictions_are_no_better_than_chance():
    logits, labels = torch.eye(2).double().repeat(4, 1), torch.tensor([1, 0] * 4)
    assert Calibration.of(logits, labels).even
    assert not Calibration.of(logits, 1 - labels).even
    assert not Calibration().even


def test_many_examples_are_held_out_in_fewer_folds(monkeypatch):
    asked = []

    def held_out(learner, known, folds):
        asked.append(folds)
        return known.features

    monkeypatch.setattr(temperature, "held_out_logits", held_out)
    for count in (4, 40, temperature.SEVERAL + 2):
        calibrate(create_learner("prototypical"), Examples(torch.rand(count, 2), torch.arange(count) % 2, 2))
    assert [len(folds.unique()) for folds in asked] == [4, 10, 3]


def test_one_example_a_class_calibrates_nothing():
    known = Examples(torch.rand(3, 6), torch.arange(3), 3)
    assert calibrate(create_learner("prototypical"), known) == Calibration()
