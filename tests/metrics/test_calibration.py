import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.metrics import ReliabilityBins, calibration_error

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
