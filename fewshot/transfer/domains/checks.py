"""The checks at the door of every method on two domains, so that what is behind it needs none."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput


def check_features(name: str, features: Tensor, least: int = 2) -> Tensor:
    """`features` (N, ...) as they are, or in float32 where they were integers.

    Raises `InvalidInput` for fewer than `least` items, no dimension, or values that are not finite.
    """
    if features.ndim < 2 or 0 in features.shape[1:]:
        raise InvalidInput(f"{name} must be (items, dim) or (items, ...), found shape {tuple(features.shape)}")
    if len(features) < least:
        raise InvalidInput(f"{name} needs {least} items or more, found {len(features)}")
    features = features if features.is_floating_point() else features.float()
    broken = ~features.isfinite().flatten(1).all(1)
    if bool(broken.any()):
        first = int(broken.nonzero()[0])
        raise InvalidInput(f"item {first} of {name} holds NaN or infinite values ({int(broken.sum())} items do)")
    return features


def check_pair(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Items of two domains, of one shape and type; raises `InvalidInput` where they don't fit together."""
    source, target = check_features("source", source), check_features("target", target)
    if source.shape[1:] != target.shape[1:]:
        raise InvalidInput(
            f"source and target must have the same dimensions, found {tuple(source.shape[1:])} and "
            f"{tuple(target.shape[1:])}; take both from one backbone"
        )
    wider = torch.promote_types(source.dtype, target.dtype)
    return source.to(wider), target.to(wider)


def check_vectors(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """As `check_pair`, for (N, D) and (M, D) that differ within: a domain that is one point has no shape to align."""
    source, target = check_pair(source, target)
    for name, items in (("source", source), ("target", target)):
        if items.ndim != 2:
            raise InvalidInput(f"{name} must be feature vectors (items, dim), found shape {tuple(items.shape)}")
        if bool((items == items[0]).all()):
            raise InvalidInput(f"all {len(items)} items of {name} are the same vector: constant features tell nothing")
    return source, target


def check_labels(name: str, labels: Tensor, count: int) -> Tensor:
    """`labels` (count,) as int64; raises `InvalidInput` for another shape, kind, negative ones, or one class only."""
    if labels.shape != (count,) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InvalidInput(f"labels of {name} must be {count} integers, found {labels.dtype} {tuple(labels.shape)}")
    found = labels.unique()
    if len(found) and int(found[0]) < 0:
        raise InvalidInput(f"labels of {name} must be zero or more, found {int(found[0])}")
    if len(found) < 2:
        raise InvalidInput(f"{name} has one class only ({found.tolist()}); two or more are needed")
    return labels.long()


def check_same_classes(source: tuple[str, ...], target: tuple[str, ...]) -> None:
    """Raise `InvalidInput` naming the classes that one of the two label sets lacks."""
    only = {"source": sorted(set(source) - set(target)), "target": sorted(set(target) - set(source))}
    told = [f"only in the {where}: {', '.join(names[:5])}{' ...' if names[5:] else ''}"
            for where, names in only.items() if names]  # fmt: skip
    if told:
        raise InvalidInput(
            f"source and target must have the same classes, found {len(source)} and {len(target)}; {'; '.join(told)}; "
            "keep the shared ones, with `select(classes=...)` or --shared-classes"
        )
