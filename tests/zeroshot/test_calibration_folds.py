"""The calibration error after fitting comes from items that the fit did not see."""

import pytest
import torch

from fewshot.metrics import calibration_error, platt_scaling, temperature_scaling
from fewshot.zeroshot.calibration import calibrate, calibrate_each


def folds(count: int) -> torch.Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0)) % 5


@pytest.fixture
def logits():
    """Too sure of themselves, and more so for some items than for others, so that each fold's fit differs."""
    return torch.randn(43, 4, dtype=torch.float64) * torch.linspace(1, 12, 43, dtype=torch.float64)[:, None]


def test_each_fifth_is_scaled_as_the_others_say(logits):
    labels = torch.where(torch.rand(43) < 0.6, logits.argmax(1), torch.randint(0, 4, (43,)))
    found = calibrate(logits, labels)
    chances = torch.empty(43, 4, dtype=torch.float64)
    temperatures = []
    for fold in range(5):
        held = [row for row in range(43) if folds(43)[row] == fold]
        kept = [row for row in range(43) if folds(43)[row] != fold]
        temperatures.append(temperature_scaling(logits[kept], labels[kept]))
        for row in held:
            chances[row] = (logits[row] / temperatures[-1]).softmax(0)
    assert len(set(temperatures)) == 5
    assert found.ece_after == pytest.approx(calibration_error(chances[None], labels[None]), abs=1e-12)
    assert found.ece_before == pytest.approx(calibration_error(logits.softmax(1)[None], labels[None]), abs=1e-12)
    assert found.temperature == temperature_scaling(logits, labels), "fitted on all items"
    at_once = (logits / found.temperature).softmax(1)
    assert found.ece_after != pytest.approx(calibration_error(at_once[None], labels[None]), abs=1e-6)


def test_each_fifth_of_several_labels_too(logits):
    targets = torch.rand(43, 4, dtype=torch.float64) < (logits / 6 - 0.5).sigmoid()
    found = calibrate_each(logits, targets)
    chances = torch.empty(43, 4, dtype=torch.float64)
    for fold in range(5):
        held = folds(43) == fold
        slope, bias = platt_scaling(logits[~held].flatten(), targets[~held].flatten())
        chances[held] = (slope * logits[held] + bias).sigmoid()
    both = torch.stack([1 - chances.flatten(), chances.flatten()], 1)
    expected = calibration_error(both[None], targets.flatten().long()[None])
    assert found.ece_after == pytest.approx(expected, abs=1e-12)
    slope, bias = platt_scaling(logits.flatten(), targets.flatten())
    assert (found.temperature, found.bias) == (pytest.approx(1 / slope), pytest.approx(bias))
