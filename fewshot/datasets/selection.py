"""Which items and classes a selection means: names, numbers and masks to index tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, UnknownName


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
