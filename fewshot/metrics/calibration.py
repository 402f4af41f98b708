"""Whether confidence is earned (reliability bins, expected calibration error), and how to mend it (scaling)."""

import math

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


def temperature_scaling(logits: Tensor, labels: Tensor) -> float:
    """What to divide logits (N, C) by so that the labels (N,) are likeliest (Guo et al. 2017, eq. 9).

    The negative log-likelihood is convex in 1 / temperature: Newton's method within a bracket, at whose ends the widest
    span of logits of an item becomes 1e4 and 1e-4. The ends themselves are for labels that are all right, and for
    logits that say no more than chance. Raises `InvalidInput` for other shapes or logits that are not finite.
    """
    check_scores("logits", logits[None], labels[None])
    if not len(labels) or labels.min() < 0 or not logits.isfinite().all():
        raise InvalidInput("temperature scaling needs finite logits (N, classes) and a label for each, at least one")
    logits = (logits - logits.amax(1, keepdim=True)).double().cpu()
    own = logits.gather(1, labels.cpu()[:, None]).mean()
    span = -float(logits.min())
    if span == 0:
        return 1.0
    low, high = 1e-4 / span, 1e4 / span
    if own == 0 or own <= logits.mean():
        return 1 / (high if own == 0 else low)
    factor = min(max(1.0, low), high)
    for _ in range(100):
        chances = (factor * logits).softmax(1)
        means = (chances * logits).sum(1)
        slope = float(means.mean() - own)
        if slope == 0:
            break
        low, high = (low, factor) if slope > 0 else (factor, high)
        spread = float(((chances * logits.square()).sum(1) - means.square()).mean())
        step = slope / max(spread, 1e-300)
        moved = factor - step if low < factor - step < high else math.sqrt(low * high)
        if abs(moved - factor) <= 1e-12 * factor:
            break
        factor = moved
    return 1 / factor


def platt_scaling(scores: Tensor, targets: Tensor) -> tuple[float, float]:
    """Slope a and intercept b of sigmoid(a score + b), the chance that an item is positive (Platt 1999).

    scores (N,) float, targets (N,) bool with both kinds. The targets are (n + 1) / (n + 2) of the n positives and
    1 / (n + 2) of the n negatives, as Platt has it, so a and b are finite; Newton's method with halved steps.
    """
    positives = int(targets.sum())
    negatives = len(targets) - positives
    if scores.shape != targets.shape or targets.dtype != torch.bool or not positives or not negatives:
        raise InvalidInput(
            f"Platt scaling needs scores and bool targets (N,) of both kinds, found {tuple(scores.shape)} and "
            f"{tuple(targets.shape)} {targets.dtype} with {positives} positives"
        )
    scores = scores.double().cpu()
    centre, spread = scores.mean(), scores.std().clamp(min=1e-12)
    inputs = torch.stack([(scores - centre) / spread, torch.ones_like(scores)], 1)
    wanted = torch.where(targets.cpu(), (positives + 1) / (positives + 2), 1 / (negatives + 2)).double()
    line = torch.tensor([0.0, math.log((positives + 1) / (negatives + 1))], dtype=torch.float64)
    for _ in range(100):
        chances = (inputs @ line).sigmoid()
        gradient = inputs.T @ (chances - wanted)
        curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs
        step = torch.linalg.solve(curvature + 1e-12 * torch.eye(2), gradient)
        while _logistic_loss(inputs, line - step, wanted) > _logistic_loss(inputs, line, wanted) + 1e-15:
            step = step / 2
        line = line - step
        if step.abs().max() <= 1e-12 * (1 + line.abs().max()):
            break
    slope = float(line[0] / spread)
    return slope, float(line[1] - slope * centre)


def _logistic_loss(inputs: Tensor, line: Tensor, wanted: Tensor) -> Tensor:
    scores = inputs @ line
    return (torch.nn.functional.softplus(scores) - wanted * scores).mean()
