"""How good an attribute model is: among unseen classes alone, and generalised, among all (Xian et al. 2019)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics import SeenUnseenCurve, harmonic_mean, mean_class_accuracy, seen_unseen_curve
from fewshot.zeroshot.attributes.method import AttributeMethod, AttributeModel


@dataclass(frozen=True)
class AttributeScores:
    """Accuracies, each the mean over classes of the share of a class's items that are right.

    zero_shot: unseen items among unseen classes; seen, unseen: items of either among all classes, with `gamma` taken
    off the scores of seen ones, and their harmonic mean; area: under the whole seen-unseen curve.
    """

    zero_shot: float
    seen: float
    unseen: float
    harmonic: float
    area: float
    gamma: float

    def to_json(self) -> dict[str, float]:
        """The numbers by name."""
        return asdict(self)


def evaluate_attributes(
    model: AttributeModel, features: Tensor, labels: Tensor, attributes: Tensor, seen: Tensor, gamma: float = 0.0
) -> AttributeScores:
    """Score a model on test items of seen and of unseen classes.

    features (N, D) of items that were not learned from; labels (N,) rows of attributes (C, A), which hold all classes;
    seen (C,) bool, the classes that were learned. `gamma` is of calibrated stacking (`calibrate` picks it without the
    test items); 0 leaves the scores as they are. Raises `InvalidInput` where either kind of item is missing.
    """
    scores = model.scores(features, attributes)
    curve = seen_unseen_curve(scores, labels, seen)
    of_unseen = ~seen[labels]
    guesses = scores[of_unseen].masked_fill(seen, -torch.inf).argmax(1)
    on_seen, on_unseen = curve.at(gamma)
    harmonic = float(harmonic_mean(torch.tensor(on_seen), torch.tensor(on_unseen)))
    return AttributeScores(
        mean_class_accuracy(guesses, labels[of_unseen]), on_seen, on_unseen, harmonic, curve.area, gamma
    )


def calibrate(
    method: AttributeMethod,
    features: Tensor,
    labels: Tensor,
    attributes: Tensor,
    val_classes: Tensor,
    held_out: float = 0.2,
    seed: int = 0,
) -> tuple[float, SeenUnseenCurve]:
    """The gamma of the best harmonic mean on validation classes, and their seen-unseen curve.

    All items are of seen classes: features (N, D), labels (N,) rows of attributes (C, A). The method learns from the
    classes that val_classes (V,) does not list, less a share `held_out` of each class's items, and is tried on those
    items and on all items of the validation classes. Raises `InvalidInput` where val_classes is empty or leaves fewer
    than two classes to learn.
    """
    train = torch.ones(len(attributes), dtype=torch.bool, device=labels.device)
    train[val_classes] = False
    if not 2 <= int(train.sum()) < len(train):
        raise InvalidInput(
            f"validation needs a class, and training two or more, found {len(val_classes)} of {len(train)}"
        )
    kept = train[labels] & ~_held_out(labels, held_out, seed)
    number = train.cumsum(0) - 1  # of a class among those learned
    model = method.fit(features[kept], number[labels[kept]], attributes[train])
    curve = seen_unseen_curve(model.scores(features[~kept], attributes), labels[~kept], train)
    return curve.best_gamma(), curve


def _held_out(labels: Tensor, share: float, seed: int) -> Tensor:
    """A share of each class's items, drawn by seed, at least one; bool (N,)."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    rank = torch.arange(len(labels), device=labels.device) - (counts.cumsum(0) - counts)[labels[order]]
    out = torch.zeros_like(labels, dtype=torch.bool)
    out[order] = rank < (share * counts).long().clamp(min=1)[labels[order]]
    return out
