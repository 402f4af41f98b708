"""Which items and classes a selection means: names, numbers and masks to index tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fewshot.datasets.grouping import Grouping
from fewshot.errors import InvalidInput, UnknownName


class Labelled(Protocol):
    """What is selected from: a data set or an embedding table.

    name: as it is called in messages; labels (N,) int64, places in class_names; groups: further labels by
    the name of what they tell, such as a domain.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> Tensor: ...  # noqa: D102
    @property
    def class_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def groups(self) -> Mapping[str, Grouping]: ...  # noqa: D102


@dataclass(frozen=True)
class Selection:
    """The items chosen (positions, int64), their labels, and the classes that these count."""

    indices: Tensor
    labels: Tensor
    class_names: tuple[str, ...]


def select_items(
    items: Labelled,
    indices: Tensor | Sequence[int] | None = None,
    classes: str | Sequence[str] | Sequence[int] | None = None,
    where: Mapping[str, str | Sequence[str]] | None = None,
) -> Selection:
    """The items that meet every condition given.

    `indices`: int64 (in that order) or a (N,) bool mask. `where`: group names to the value or values wanted. `classes`:
    names or indices, numbered anew in the order given. Raises `UnknownName` for a class, group or value that is not
    there, `InvalidInput` for a bad index.
    """
    labels = items.labels.cpu()
    chosen = item_indices(indices, len(labels))
    for group, wanted in (where or {}).items():
        if group not in items.groups:
            raise UnknownName(f"group of {items.name}", group, items.groups)
        chosen = chosen[items.groups[group].mask(wanted, f"{group} of {items.name}")[chosen]]
    if classes is None:
        return Selection(chosen, labels[chosen], items.class_names)
    kept = class_positions(classes, items.class_names, items.name)
    relabel = torch.full((len(items.class_names),), -1)
    relabel[kept] = torch.arange(len(kept))
    chosen = chosen[relabel[labels[chosen]] >= 0]
    return Selection(chosen, relabel[labels[chosen]], tuple(items.class_names[index] for index in kept))


def item_indices(indices: Tensor | Sequence[int] | None, count: int) -> Tensor:
    """Int64 positions in 0..count-1 from indices (negative ones count from the end), a bool mask, or None for all."""
    if indices is None:
        return torch.arange(count)
    indices = torch.as_tensor(indices)
    if indices.numel() == 0 and indices.dtype != torch.bool:
        indices = indices.to(torch.int64)
    if indices.ndim != 1 or indices.is_floating_point():
        raise InvalidInput(f"indices must be one row of integers or a bool mask, not {_kind(indices)}")
    if indices.dtype == torch.bool:
        if len(indices) != count:
            raise InvalidInput(f"a bool mask must have one entry an item ({count}); found {len(indices)}")
        return indices.nonzero().flatten()
    indices = indices.to(torch.int64)
    outside = indices[(indices < -count) | (indices >= count)]
    if len(outside):
        raise InvalidInput(f"index {int(outside[0])} is outside the {count} items")
    return torch.where(indices < 0, indices + count, indices)


def class_positions(classes: str | Sequence[str] | Sequence[int], names: tuple[str, ...], dataset: str) -> list[int]:
    """The positions in `names` of classes given by name or by position, in the order given."""
    position = {name: index for index, name in enumerate(names)}
    kept: list[int] = []
    for wanted in [classes] if isinstance(classes, str) else classes:
        if isinstance(wanted, str) and wanted not in position:
            raise UnknownName(f"class of {dataset}", wanted, names)
        index = position[wanted] if isinstance(wanted, str) else wanted
        if not 0 <= index < len(names):
            raise InvalidInput(f"{dataset} has the classes 0..{len(names) - 1}; found {index}")
        kept.append(index)
    if len(set(kept)) < len(kept):
        twice = next(index for index in kept if kept.count(index) > 1)
        raise InvalidInput(f"each class may be selected once; {names[twice]!r} is there more than once")
    return kept


def _kind(values: Tensor) -> str:
    return f"{values.dtype} of shape {list(values.shape)}"
