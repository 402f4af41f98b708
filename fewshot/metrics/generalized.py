"""Generalised zero-shot: seen and unseen classes compete for every item (Chao et al. 2016; Xian et al. 2019).

Calibrated stacking takes gamma off the score of every seen class. From one end to the other of gamma, items move one by
one from their best seen to their best unseen class, which draws the seen-unseen curve.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput


@dataclass(frozen=True)
class SeenUnseenCurve:
    """Accuracies of seen and of unseen items among all classes, for every gamma there is.

    gammas (G,) float64, where something changes, the first minus infinity; seen, unseen (G,) float64, the accuracies
    from that gamma up to the next, each the mean over classes of the share of a class's items that are right.
    """

    gammas: Tensor
    seen: Tensor
    unseen: Tensor

    @property
    def area(self) -> float:
        """AUSUC, the area under the curve of seen against unseen accuracy (Chao et al. 2016, section 4.2)."""
        return float(torch.trapezoid(self.seen, self.unseen))

    @property
    def harmonic(self) -> Tensor:
        """The harmonic mean (G,) of both accuracies."""
        return harmonic_mean(self.seen, self.unseen)

    def at(self, gamma: float) -> tuple[float, float]:
        """Seen and unseen accuracy at `gamma`."""
        place = int(torch.searchsorted(self.gammas, torch.tensor(gamma, dtype=torch.float64), right=True)) - 1
        return float(self.seen[place]), float(self.unseen[place])

    def best_gamma(self) -> float:
        """The gamma of the largest harmonic mean, the middle of its span; of equal ones the first."""
        place = int(self.harmonic.argmax())
        known = self.gammas[1:]
        if not len(known):
            return 0.0
        low, high = known[max(place - 1, 0)], known[min(place, len(known) - 1)]
        return float((low + high) / 2)


def harmonic_mean(seen: Tensor, unseen: Tensor) -> Tensor:
    """2 seen unseen / (seen + unseen), zero where both are (Xian et al. 2019, eq. 10); any shape, elementwise."""
    return 2 * seen * unseen / (seen + unseen).clamp(min=torch.finfo(seen.dtype).tiny)


def mean_class_accuracy(predictions: Tensor, labels: Tensor) -> float:
    """The share of right predictions within each class that occurs in labels (N,), then their mean over classes."""
    if predictions.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise InvalidInput(
            f"predictions and labels must be of one shape (items,), at least one, "
            f"found {tuple(predictions.shape)} and {tuple(labels.shape)}"
        )
    return float((_class_weights(labels) * (predictions == labels)).sum())


def calibrated_stacking(scores: Tensor, seen: Tensor, gamma: float) -> Tensor:
    """Scores (N, C) with gamma taken off those of the seen classes; seen (C,) bool (Chao et al. 2016, eq. 3)."""
    return scores - gamma * seen.to(scores)


def seen_unseen_curve(scores: Tensor, labels: Tensor, seen: Tensor) -> SeenUnseenCurve:
    """The whole curve: exact, since gamma is tried wherever a prediction changes.

    scores (N, C) among all classes; labels (N,) in [0, C) with items of seen and of unseen classes; seen (C,) bool. At
    the very gamma where seen and unseen tie, unseen wins.
    """
    _check(scores, labels, seen)
    (best_seen, best_unseen), right = _best_of_each(scores.double(), labels, seen)
    margins, order = (best_seen - best_unseen).sort()  # an item goes over to the unseen classes at its margin
    of_seen = seen[labels]
    weights = torch.zeros_like(margins)
    for kind in (of_seen, ~of_seen):
        weights[kind] = _class_weights(labels[kind])
    weights = weights * right
    last = torch.cat([margins[1:] != margins[:-1], margins.new_ones(1, dtype=torch.bool)])
    lost, won = (torch.where(kind, weights, 0)[order].cumsum(0)[last] for kind in (of_seen, ~of_seen))
    start = margins.new_zeros(1)
    return SeenUnseenCurve(
        gammas=torch.cat([start - torch.inf, margins[last]]),
        # the last is the sum itself, so the end of the curve is exactly zero
        seen=lost[-1] - torch.cat([start, lost]),
        unseen=torch.cat([start, won]),
    )


def _best_of_each(scores: Tensor, labels: Tensor, seen: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The best score among seen and among unseen classes (N,), and whether an item's own half names it rightly."""
    best, right = [], torch.zeros_like(labels, dtype=torch.bool)
    for absent in (~seen, seen):
        value, guess = scores.masked_fill(absent, -torch.inf).max(1)
        best.append(value)
        right |= guess == labels
    return (best[0], best[1]), right


def _class_weights(labels: Tensor) -> Tensor:
    """For each item 1 / (items of its class × classes), so that a sum over items is a mean over classes."""
    _, inverse, counts = labels.unique(return_inverse=True, return_counts=True)
    return 1 / (counts.double()[inverse] * len(counts))


def _check(scores: Tensor, labels: Tensor, seen: Tensor) -> None:
    items, classes = len(labels), seen.numel()
    if scores.shape != (items, classes) or seen.dtype != torch.bool or labels.is_floating_point():
        raise InvalidInput(
            f"scores must be (items, classes), labels integer (items,), seen bool (classes,), found "
            f"{tuple(scores.shape)}, {tuple(labels.shape)}, {tuple(seen.shape)} of {seen.dtype}"
        )
    if not bool(scores.isfinite().all()):
        raise InvalidInput(f"scores must be finite, found others for item {int((~scores.isfinite()).nonzero()[0, 0])}")
    if items and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidInput(f"labels must lie in [0, {classes}), the number of classes")
    for word, kind in (("seen", seen), ("unseen", ~seen)):
        if not bool(kind[labels].any()):
            raise InvalidInput(f"the curve needs items of seen and of unseen classes, found no {word} ones")
