"""What every score needs of its items: finite features that differ, and labels of at least two classes."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput


def check_features(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, D) in float64, and labels (N,) numbered 0..classes-1 without gaps.

    Raises `InvalidInput` for other shapes, NaN or infinity, features that are the same for every item, a label count
    that differs, or fewer than two classes.
    """
    features = _finite("features", features)
    if bool((features == features[:1]).all()):
        raise InvalidInput(
            f"the features of all {len(features)} items are the same, so they tell nothing of the classes; check the "
            "images and the layer"
        )
    return features, check_labels(labels, len(features))


def check_probabilities(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (N, Z) of the source's classes in float64, whose rows sum to 1, and labels as above."""
    probabilities = _finite("source probabilities", probabilities)
    total = probabilities.sum(1)
    if bool((probabilities < 0).any()) or bool(((total - 1).abs() > 1e-3).any()):
        raise InvalidInput(
            "source probabilities must not be negative and each row must sum to 1; take the softmax of the head's "
            "logits"
        )
    return probabilities / total[:, None], check_labels(labels, len(probabilities))


def check_labels(labels: Tensor, count: int) -> Tensor:
    """Labels (N,) numbered 0..classes-1 without gaps; raises `InvalidInput` for another count or a single class."""
    labels = torch.as_tensor(labels)
    if labels.shape != (count,) or labels.is_floating_point():
        raise InvalidInput(f"labels must be {count} integers, one an item, found {tuple(labels.shape)} {labels.dtype}")
    classes, dense = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"a score needs items of two classes or more, found {len(classes)}; add another class")
    return dense


def check_class_sizes(labels: Tensor, least: int, score: str) -> None:
    """Raise `InvalidInput` where a class, numbered as by `check_labels`, has fewer than `least` items."""
    sizes = labels.bincount()
    if int(sizes.min()) < least:
        raise InvalidInput(
            f"{score} needs {least} items of every class, found {int(sizes.min())} of class {int(sizes.argmin())}; "
            "leave that class out or add items"
        )


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """The mean feature (classes, D) of each class."""
    sums = features.new_zeros(int(labels.max()) + 1, features.shape[1]).index_add_(0, labels, features)
    return sums / labels.bincount()[:, None]


def _finite(name: str, values: Tensor) -> Tensor:
    values = torch.as_tensor(values)
    if values.ndim != 2 or 0 in values.shape:
        raise InvalidInput(f"{name} must be (items, dim) with neither of them 0, found shape {tuple(values.shape)}")
    if not bool(values.isfinite().all()):
        row = int((~values.isfinite()).any(1).nonzero()[0])
        raise InvalidInput(f"{name} must be finite, found NaN or infinity for item {row}; leave it out or embed again")
    return values.double()
