"""Filters over the sidecar, such as `label = 'mug' and year > 2019`, evaluated by pyarrow's own engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.search.grammar import Filter

if TYPE_CHECKING:
    from fewshot.retrieval.store import Snapshot

ROW = "row of the index"


def matching(snapshot: Snapshot, condition: str) -> np.ndarray:
    """The ids (n,) int64, ascending, of the living items for which `condition` holds.

    A condition compares columns of the sidecar (id, key, hash, label and the user's own) with numbers, 'strings', true
    and false, by = != < <= > >=, in (...), between ... and ..., like, ilike (% and _ stand for anything) and is null,
    joined by and, or, not and parentheses; a name with spaces stands in "double quotes". As in SQL, a comparison with
    a value that is missing does not hold, nor does its opposite. Raises `InvalidInput` pointing at what is wrong, and
    `UnknownName` listing near names for an unknown column.
    """
    import pyarrow

    parsed = Filter(condition, ColumnTypes(snapshot))
    rows = np.arange(len(snapshot.ids))
    table = snapshot.table(sorted(parsed.columns)).append_column(ROW, pyarrow.array(rows))
    try:
        held = table.filter(parsed.expression)[ROW].to_numpy()
    except (pyarrow.ArrowException, TypeError) as error:
        raise InvalidInput(f"filter {condition!r}: {str(error).splitlines()[0]}") from None
    return snapshot.ids[held[snapshot.alive[held]]]


class ColumnTypes(Mapping[str, Any]):
    """The columns of a sidecar with their pyarrow types; a column is read when its type is asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._names = ("id", "key", "hash", "label", *snapshot.manifest.columns)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._snapshot.column(name).type

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
