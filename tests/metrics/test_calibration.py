import math

import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.metrics import ReliabilityBins, calibration_error, platt_scaling, temperature_scaling

GENERATOR = torch.Generator().manual_seed(0)
PROBABILITIES = (2 * torch.randn(8, 25, 5, generator=GENERATOR)).softmax(-1)
LABELS = torch.randint(5, (8, 25), generator=GENERATOR)
LABELS[2, 10:] = -1


def reference(probabilities, labels, bins):
    """Guo et al. 2017, equations 2 and 3, prediction by prediction in float64."""
    members = [[] for _ in range(bins)]
    for row, label in zip(probabilities.flatten(0, 1).tolist(), labels.flatten().tolist(), strict=True):
        if label >= 0:
            best = max(row)
            place = next(m for m in range(bins) if best <= (m + 1) / bins or m == bins - 1)
            members[place].append((best, row.index(best) == label))
    count = sum(len(bin) for bin in members)
    gaps = [abs(sum(right for _, right in bin) - sum(best for best, _ in bin)) for bin in members]
    return sum(gaps) / count, [len(bin) for bin in members]


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_error_and_bins_equal_the_reference(bins, dtype):
    probabilities = PROBABILITIES.to(dtype)
    error, counts = reference(probabilities, LABELS, bins)
    assert calibration_error(probabilities, LABELS, bins) == pytest.approx(error, abs=1e-12)
    reliability = ReliabilityBins(bins)
    for part in (slice(0, 3), slice(3, 8)):
        reliability.update(probabilities[part], LABELS[part])
    assert reliability.counts.tolist() == counts
    assert reliability.expected_error == pytest.approx(error, abs=1e-12)


def test_edges_belong_to_the_bin_below_and_one_to_the_last():
    reliability = ReliabilityBins(4)
    best = torch.tensor([0.5, 0.75, 1.0], dtype=torch.float64)
    reliability.update(torch.stack([best, 1 - best], -1).unsqueeze(0), torch.tensor([[0, 0, 1]]))
    assert reliability.counts.tolist() == [0, 1, 1, 1]
    assert reliability.accuracies.nan_to_num(-1).tolist() == [-1, 1, 1, 0]
    assert reliability.confidences.nan_to_num(-1).tolist() == [-1, 0.5, 0.75, 1]


def test_a_perfectly_calibrated_forecast_has_no_error():
    probabilities = torch.tensor([0.75, 0.25]).expand(1, 4, 2)
    assert calibration_error(probabilities, torch.tensor([[0, 0, 0, 1]])) == pytest.approx(0)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (PROBABILITIES.log(), "must not be negative and must sum to 1; take the softmax of logits"),
        (PROBABILITIES * 2, "must not be negative and must sum to 1"),
        (PROBABILITIES * torch.nan, "probabilities of task 0 hold NaN"),
        (PROBABILITIES[:, 1:], r"probabilities must be \(tasks, queries, ways\)"),
    ],
)
def test_refuses(probabilities, message):
    with pytest.raises(InvalidInput, match=message):
        ReliabilityBins().update(probabilities, LABELS)


def test_refuses_no_bins_and_no_predictions():
    with pytest.raises(InvalidInput, match="bins must be an integer of at least 1, found 0"):
        ReliabilityBins(0)
    with pytest.raises(InvalidInput, match="the reliability bins are empty"):
        _ = ReliabilityBins().expected_error


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_temperature_is_the_likeliest(sharpness, dtype):
    optimize = pytest.importorskip("scipy.optimize")
    logits = torch.randn(300, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.distributions.Categorical(logits=logits).sample()
    given = (sharpness * logits).to(dtype)

    def loss(log_temperature):
        scaled = given.double() / math.exp(log_temperature)
        return float((scaled.logsumexp(1) - scaled.gather(1, labels[:, None])[:, 0]).mean())

    best = optimize.minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-12})
    assert temperature_scaling(given, labels) == pytest.approx(math.exp(best.x), rel=1e-6)


def test_temperature_where_none_is_best():
    logits = torch.eye(3) * 4
    assert temperature_scaling(logits, torch.arange(3)) == pytest.approx(
        4e-4, rel=1e-6
    )  # all right: as sharp as may be
    assert temperature_scaling(logits, torch.tensor([1, 2, 0])) == pytest.approx(4e4, rel=1e-6)  # all wrong: flat
    assert temperature_scaling(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])) == 1
    with pytest.raises(InvalidInput, match="finite logits"):
        temperature_scaling(torch.tensor([[0.0, torch.inf]]), torch.tensor([0]))
    with pytest.raises(InvalidInput, match="a label for each"):
        temperature_scaling(logits, torch.tensor([0, 1, -1]))


@pytest.mark.parametrize(("slope", "bias"), [(3.0, -1.0), (40.0, -12.0), (-2.0, 0.5)])
def test_platt_scaling_minimises_its_loss(slope, bias):
    optimize = pytest.importorskip("scipy.optimize")
    scores = torch.randn(400, generator=torch.Generator().manual_seed(2), dtype=torch.float64) / 3 + 0.2
    targets = torch.bernoulli((slope * scores + bias).sigmoid()).bool()
    count = int(targets.sum())
    wanted = torch.where(targets, (count + 1) / (count + 2), 1 / (400 - count + 2)).double()

    def loss(line):
        scaled = torch.tensor(line[0]) * scores + line[1]
        return float(-(wanted * scaled.sigmoid().log() + (1 - wanted) * (-scaled).sigmoid().log()).mean())

    best = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15})
    assert platt_scaling(scores.float(), targets) == pytest.approx(tuple(best.x), rel=1e-4)


def test_platt_scaling_of_separable_scores_is_finite_and_needs_both_kinds():
    slope, bias = platt_scaling(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([False, False, True, True]))
    assert 0 < slope < 1e3
    assert -bias / slope == pytest.approx(0.25, abs=1e-6)
    with pytest.raises(InvalidInput, match="of both kinds"):
        platt_scaling(torch.zeros(3), torch.ones(3, dtype=torch.bool))
