"""Several label sets over the same items: a column of integers each, with -1 where a label is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fewshot.datasets.selection import Labelled
from fewshot.errors import InvalidInput, UnknownName

MISSING = -1


@dataclass(frozen=True, eq=False)
class LabelSets:
    """What is asked of each item: `codes` (N, tasks) int64, in column t below `sizes[t]`, -1 for a missing label.

    Raises `InvalidInput` for codes out of range or of another type, for a name given twice, and for a label set of
    which fewer than two classes are there.
    """

    names: tuple[str, ...]
    codes: Tensor
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise InvalidInput(f"label sets need names that differ, one or more; found {list(self.names)}")
        if self.codes.ndim != 2 or self.codes.dtype != torch.int64 or self.codes.shape[1] != len(self.names):
            raise InvalidInput(
                f"label sets need int64 codes (items, {len(self.names)}), found {self.codes.dtype} of shape "
                f"{tuple(self.codes.shape)}"
            )
        for name, column, size in zip(self.names, self.codes.unbind(1), self.sizes, strict=True):
            present = column[column != MISSING].unique()
            if len(present) < 2:
                raise InvalidInput(f"the label set {name} has {len(present)} classes; two or more are needed to learn")
            if int(present[0]) < 0 or int(present[-1]) >= size:
                raise InvalidInput(
                    f"the labels of {name} must lie in 0..{size - 1}, or be {MISSING} where they are missing; found "
                    f"{int(present[0])}..{int(present[-1])}"
                )

    @classmethod
    def of(cls, items: Labelled, names: Sequence[str]) -> LabelSets:
        """The label sets called `names` of a data set or table: `class`, or one of its groups such as `coarse`.

        Only classes that have an item count. Raises `UnknownName` for another name.
        """
        known = {"class": items.labels} | {name: group.codes for name, group in items.groups.items()}
        for name in names:
            if name not in known:
                raise UnknownName(f"label set of {items.name}", name, known)
        columns = [known[name].cpu().unique(return_inverse=True) for name in names]
        if not columns:
            raise InvalidInput(f"name at least one label set of {items.name}: {', '.join(known)}")
        return cls(
            tuple(names), torch.stack([codes for _, codes in columns], 1), tuple(len(kept) for kept, _ in columns)
        )

    def __len__(self) -> int:
        return len(self.codes)

    def only(self, name: str) -> LabelSets:
        """One label set alone."""
        task = self._position(name)
        return LabelSets((name,), self.codes[:, [task]], (self.sizes[task],))

    def hidden(self, name: str, items: Tensor) -> LabelSets:
        """The same with the labels of `items`, indices, missing from the label set `name`."""
        codes = self.codes.clone()
        codes[items, self._position(name)] = MISSING
        return replace(self, codes=codes)

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise UnknownName("label set", name, self.names)
        return self.names.index(name)
