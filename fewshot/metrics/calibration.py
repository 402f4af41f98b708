"""Whether confidence is earned: reliability bins and the expected calibration error."""

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics.accuracy import check_scores


class ReliabilityBins:
    """Predictions counted by confidence in `bins` equal bins of (0, 1], task by task (Guo et al. 2017, section 2).

    Bin m holds the confidences in (m / bins, (m + 1) / bins]; zero belongs to the first. `counts`, `right` and
    `confidence` are (bins,): how many, how many of them right, and the sum of their confidences.
    """

    def __init__(self, bins: int = 15) -> None:
        if not isinstance(bins, int) or bins < 1:
            raise InvalidInput(f"bins must be an integer of at least 1, found {bins!r}")
        self.counts = torch.zeros(bins, dtype=torch.int64)
        self.right = torch.zeros_like(self.counts)
        self.confidence = torch.zeros(bins, dtype=torch.float64)

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add probabilities (T, Q, W) and labels (T, Q), -1 pads. The prediction is the most probable class."""
        check_scores("probabilities", probabilities, labels)
        counted = labels >= 0
        total, lowest = probabilities.sum(-1)[counted], probabilities.amin(-1)[counted]
        if bool((lowest < 0).any() | ((total - 1).abs() > 0.01).any()):
            raise InvalidInput("probabilities must not be negative and must sum to 1; take the softmax of logits")
        bins = len(self.counts)
        best, predictions = (found[counted].cpu() for found in probabilities.max(-1))
        best, labels = best.double(), labels[counted].cpu()
        place = torch.bucketize(best, torch.arange(1, bins, dtype=torch.float64) / bins)
        self.counts += place.bincount(minlength=bins)
        self.right += place[predictions == labels].bincount(minlength=bins)
        self.confidence += place.bincount(best, minlength=bins)

    @property
    def accuracies(self) -> Tensor:
        """The share of right predictions in each bin, NaN for an empty one."""
        return self.right.double() / self.counts

    @property
    def confidences(self) -> Tensor:
        """The mean confidence in each bin, NaN for an empty one."""
        return self.confidence / self.counts

    @property
    def expected_error(self) -> float:
        """ECE (equation 3): the mean over predictions of |accuracy - confidence| of their bin."""
        if not int(self.counts.sum()):
            raise InvalidInput("the reliability bins are empty; update them with predictions first")
        return float((self.right - self.confidence).abs().sum() / self.counts.sum())


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """The expected calibration error of one batch of tasks, see `ReliabilityBins`."""
    reliability = ReliabilityBins(bins)
    reliability.update(probabilities, labels)
    return reliability.expected_error
