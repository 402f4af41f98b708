"""What a search found: ids, scores, keys and rows, as JSON or as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fewshot.retrieval.index import Index


class Hits:
    """The items found, nearest first.

    For one query `ids` (k,) int64 and `scores` (k,) float32; for several (Q, k), and then `hits[i]` is the answer to
    one, `keys` and `rows` are lists of lists. Cosine and inner product: larger is nearer; l2: the squared distance.
    Keys and rows are read from the sidecar when they are asked for.
    """

    def __init__(self, index: Index, query: str | tuple[str, ...], scores: np.ndarray, ids: np.ndarray) -> None:
        self.query, self.scores, self.ids = query, scores, ids
        self._index, self._snapshot = index, index.snapshot

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Any:
        """Of several queries the answer to one; of one query the row of one hit."""
        if self.ids.ndim == 1:
            return self.rows[place]
        return Hits(self._index, self.query[place], self.scores[place], self.ids[place])

    @cached_property
    def keys(self) -> list[Any]:
        """What the items are called."""
        return self._shaped(self._snapshot.keys(self._places))

    @cached_property
    def rows(self) -> list[Any]:
        """A dict an item: id, score, key, label and the columns of the sidecar."""
        rows = self._snapshot.table().take(self._places).to_pylist()
        flat = zip(self.scores.reshape(-1).tolist(), rows, strict=True)
        return self._shaped([{"id": row.pop("id"), "score": score, **row} for score, row in flat])

    def to_json(self) -> Any:
        """The rows with their query, ready for JSON; a list of these for several queries."""
        if self.ids.ndim == 2:
            return [hits.to_json() for hits in self]
        return {
            "query": self.query,
            "hits": [{name: _plain(value) for name, value in row.items()} for row in self.rows],
        }

    def sheet(self, path: str | Path, columns: int = 5) -> None:
        """Draw a contact sheet of the hits, a block of rows a query, each with its key and score, as a PNG or JPEG.

        Raises `MissingData` where the pictures are not where they were indexed.
        """
        from fewshot.retrieval.search.sheet import draw_sheet

        draw_sheet(self._index, [self] if self.ids.ndim == 1 else list(self), Path(path), columns)

    def __repr__(self) -> str:
        if self.ids.ndim == 2:
            return f"<Hits for {len(self)} queries, {self.ids.shape[1]} each>"
        listed = ", ".join(f"{key} {score:.3f}" for key, score in zip(self.keys[:3], self.scores, strict=False))
        return f"<{len(self)} hits for {self.query}: {listed}{', ...' if len(self) > 3 else ''}>"

    @property
    def _places(self) -> np.ndarray:
        return self._snapshot.positions(self.ids)

    def _shaped(self, flat: list[Any]) -> list[Any]:
        if self.ids.ndim == 1:
            return flat
        width = self.ids.shape[1]
        return [flat[start : start + width] for start in range(0, len(self) * width, width or 1)]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
