"""The checks at a learner's door, so that the methods behind it need none."""

from dataclasses import fields
from math import isfinite
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from fewshot.errors import InvalidInput


def check_support(
    support: Tensor, labels: Tensor, ways: int | Tensor, every_class: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Features (T, S, D) as float32 or float64 with zeros for padding, labels as int64, and the classes each task has.

    The last, (T, W) bool, is true for the first `ways` classes of a task. Unless `every_class` must have an item, S may
    be zero. Raises `InvalidInput` as `Learner.fit` says.
    """
    support = _features(support, "support", some=every_class)
    tasks, samples, _ = support.shape
    if labels.shape != (tasks, samples) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InvalidInput(f"labels must be integers of shape ({tasks}, {samples}), found {_form(labels)}")
    if labels.device != support.device:
        raise InvalidInput(f"support is on {support.device} and labels on {labels.device}; move them together")
    labels = labels.long()
    present = classes_of(ways, tasks, support.device)
    _check_labels(labels, present, every_class)
    padding = labels < 0
    if padding.any():
        support = support.masked_fill(padding[..., None], 0)
    if not support.sum().isfinite():  # one cheap reading; only where it fails is each value looked at
        broken = ~support.isfinite().flatten(1).all(1)
        if broken.any():
            raise InvalidInput(f"the support of task {_first(broken)} holds NaN or infinite features")
    return support, labels, present


def check_unlabelled(unlabelled: Tensor, mask: Tensor | None, support: Tensor) -> tuple[Tensor, Tensor]:
    """Unlabelled items (T, U, D) of the type of the support with zeros for padding, and their mask (T, U)."""
    unlabelled, mask = _masked(unlabelled, mask, support[0, :0], len(support), "unlabelled")
    if not unlabelled.isfinite().all():
        task = _first(~unlabelled.isfinite().flatten(1).all(1))
        raise InvalidInput(f"the unlabelled items of task {task} hold NaN or infinite features")
    return unlabelled, mask


def check_query(query: Tensor, mask: Tensor | None, like: Tensor, tasks: int) -> tuple[Tensor, Tensor]:
    """Queries (T, Q, D) of the type of `like` (0, D) with zeros for padding, and their mask (T, Q)."""
    return _masked(query, mask, like, tasks, "query")


def check_finite_logits(logits: Tensor, absent: Tensor, mask: Tensor, query: Tensor) -> None:
    """Raise `InvalidInput` where a logit that counts is not finite: bad queries are found here, at no extra reading."""
    bad = (~logits.isfinite() & ~absent & mask[..., None]).flatten(1).any(1)
    if not bad.any():
        return
    check_finite_query(query)
    task = _first(bad)
    raise InvalidInput(f"the logits of task {task} are not finite: its features are too large; scale them down")


def check_finite_query(query: Tensor) -> None:
    """Raise `InvalidInput` for queries (T, Q, D) that hold NaN or infinite values."""
    if query.sum().isfinite():  # one cheap reading; only where it fails is each value looked at
        return
    broken = ~query.isfinite().flatten(1).all(1)
    if broken.any():
        raise InvalidInput(f"the queries of task {_first(broken)} hold NaN or infinite features")


def no_transfer(learner: str) -> str:
    """Why a learner is not asked for other classes than it has learned."""
    return (
        f"what {learner} learns of its classes says nothing of others; use a learner that transfers, such as coop or "
        "prolip, or images of these classes"
    )


def check_settings(learner: Any) -> None:
    """Raise `InvalidInput` for a setting that does not suit its annotation: a type, a `Literal`, or a union."""
    kinds = get_type_hints(type(learner))
    for field in fields(learner):
        value, kind = getattr(learner, field.name), kinds[field.name]
        choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        if not any(_suits(value, choice) for choice in choices):
            needed = " or ".join(map(_described, choices))
            raise InvalidInput(f"{learner.name}: {field.name} must be {needed}, found {value!r}")


def check_positive(learner: Any, *settings: str) -> None:
    """Raise `InvalidInput` for a setting that is zero or less."""
    for name in settings:
        if getattr(learner, name) <= 0:
            raise InvalidInput(f"{learner.name}: {name} must be above zero, found {getattr(learner, name)!r}")


def check_not_negative(learner: Any, *settings: str) -> None:
    """Raise `InvalidInput` for a setting below zero."""
    for name in settings:
        if getattr(learner, name) < 0:
            raise InvalidInput(f"{learner.name}: {name} must be zero or more, found {getattr(learner, name)!r}")


def check_shares(learner: Any, *settings: str) -> None:
    """Raise `InvalidInput` for a setting outside 0 to 1."""
    for name in settings:
        if not 0 <= getattr(learner, name) <= 1:
            raise InvalidInput(f"{learner.name}: {name} must be from 0 to 1, found {getattr(learner, name)!r}")


def _suits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return type(value) in (int, float) and isfinite(value)
    return type(value) is kind


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return "a finite number" if kind is float else f"of type {kind.__name__}"


def _masked(items: Tensor, mask: Tensor | None, like: Tensor, tasks: int, role: str) -> tuple[Tensor, Tensor]:
    items = _features(items, role).to(like.dtype)
    if len(items) != tasks or items.shape[2] != like.shape[1]:
        raise InvalidInput(
            f"the head was fitted on {tasks} tasks of {like.shape[1]} dimensions; "
            f"{role} of shape {tuple(items.shape)} has {len(items)} and {items.shape[2]}"
        )
    if items.device != like.device:
        raise InvalidInput(f"the head is on {like.device} and the {role} on {items.device}; move one to the other")
    if mask is None:
        return items, torch.ones(items.shape[:2], dtype=torch.bool, device=items.device)
    if mask.shape != items.shape[:2] or mask.dtype != torch.bool:
        raise InvalidInput(f"mask must be bool of shape {tuple(items.shape[:2])}, found {_form(mask)}")
    if not mask.all():
        items = items.masked_fill(~mask[..., None], 0)
    return items, mask


def _features(features: Tensor, role: str, some: bool = True) -> Tensor:
    needed = features.shape if some else features.shape[::2]
    if features.ndim != 3 or 0 in needed:
        raise InvalidInput(
            f"{role} must be (tasks, samples, dim), none of them zero, found {_form(features)}; "
            "one task is a batch of one: features[None]"
        )
    if not features.is_floating_point():
        raise InvalidInput(f"{role} must hold floating-point features, found {_form(features)}")
    return features if features.dtype == torch.float64 else features.float()


def classes_of(ways: int | Tensor, tasks: int, device: torch.device) -> Tensor:
    """The classes (T, W) bool that each task has: the first `ways`, which is a number for all or one a task."""
    each = torch.as_tensor(ways, device=device)
    if each.ndim == 0:
        each = each.expand(tasks)
    if each.shape != (tasks,) or each.is_floating_point() or int(each.min()) < 1:
        raise InvalidInput(f"ways must be a whole number above zero, or one for each of {tasks} tasks, found {ways}")
    return torch.arange(int(each.max()), device=device) < each[:, None]


def _check_labels(labels: Tensor, present: Tensor, every_class: bool) -> None:
    each = present.sum(1)
    outside = (labels < -1) | (labels >= each[:, None])
    if outside.any():
        task = _first(outside.any(1))
        wrong = int(labels[task][outside[task]][0])
        raise InvalidInput(
            f"label {wrong} in the support of task {task} is outside 0 to {int(each[task]) - 1} (-1 marks padding)"
        )
    if not every_class:
        return
    # one spare column takes the padding
    counts = torch.zeros(len(labels), present.shape[1] + 1, dtype=torch.int64, device=labels.device)
    counts.scatter_add_(1, labels % (present.shape[1] + 1), torch.ones_like(labels))
    empty = present & (counts[:, :-1] == 0)
    if empty.any():
        task = _first(empty.any(1))
        raise InvalidInput(
            f"class {_first(empty[task])} of task {task} has no support sample; each of its {int(each[task])} classes "
            "needs one or more"
        )


def _first(flags: Tensor) -> int:
    return int(flags.nonzero()[0])


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
