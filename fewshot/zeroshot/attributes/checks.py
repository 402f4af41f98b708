"""The checks at an attribute method's door, so that the methods behind it need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.zeroshot.attributes.method import AttributeMethod


def check_training(
    method: AttributeMethod, features: Tensor, labels: Tensor, attributes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Features, int64 labels and attributes, all of one type; raises `InvalidInput` as `AttributeMethod.fit` says."""
    features = _floats(features, "features", "(items, dim)")
    attributes = _floats(attributes.to(features.dtype), "attributes", "(classes, attributes)")
    if labels.shape != (len(features),) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InvalidInput(f"labels must be integers of shape ({len(features)},), found {_form(labels)}")
    labels = labels.long()
    classes = len(attributes)
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidInput(
            f"labels must lie in [0, {classes}), one row of attributes for each class, found {int(labels.min())} to "
            f"{int(labels.max())}"
        )
    if classes < 2:
        raise InvalidInput("attributes must tell two seen classes or more apart, found one row")
    counts = labels.bincount(minlength=classes)
    if not bool(counts.all()):
        raise InvalidInput(
            f"class {int((counts == 0).nonzero()[0])} has attributes and no item; give the rows of seen classes alone"
        )
    _check_binary(method, attributes)
    return features, labels, attributes


def check_items(features: Tensor, mean: Tensor) -> Tensor:
    """Features (N, D) to classify, of the type of those that were learned from."""
    return _same(_floats(features, "features", "(items, dim)"), mean, "features")


def check_attributes(method: AttributeMethod, attributes: Tensor, mean: Tensor) -> Tensor:
    """Attributes (K, A) of the classes to choose from."""
    attributes = _same(_floats(attributes.to(mean.dtype), "attributes", "(classes, attributes)"), mean, "attributes")
    _check_binary(method, attributes)
    return attributes


def _check_binary(method: AttributeMethod, attributes: Tensor) -> None:
    other = (attributes != 0) & (attributes != 1)
    if method.binary and bool(other.any()):
        row, column = other.nonzero()[0].tolist()
        raise InvalidInput(
            f"{method.name} takes attributes that are 0 or 1, found {attributes[row, column]:.4g} in row {row}, column "
            f"{column}; AttributeTable.binary() thresholds them"
        )


def _same(vectors: Tensor, mean: Tensor, role: str) -> Tensor:
    if vectors.shape[1] != len(mean):
        raise InvalidInput(f"the model was fitted on {role} of {len(mean)} dimensions, found {vectors.shape[1]}")
    return vectors.to(mean.dtype)


def _floats(vectors: Tensor, role: str, shape: str) -> Tensor:
    if vectors.ndim != 2 or 0 in vectors.shape or not vectors.is_floating_point():
        raise InvalidInput(f"{role} must be floating-point {shape}, none of them zero, found {_form(vectors)}")
    if not bool(vectors.isfinite().all()):
        row, column = (~vectors.isfinite()).nonzero()[0].tolist()
        raise InvalidInput(f"{role} must be finite, found {vectors[row, column]} in row {row}, column {column}")
    return vectors if vectors.dtype == torch.float64 else vectors.float()


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
