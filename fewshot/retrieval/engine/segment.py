"""One FAISS file of an index, opened memory-mapped: its own positions inside, the index's ids outside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import UnreadableFile
from fewshot.retrieval.engine.parameters import search_parameters


class Segment:
    """A FAISS file read from `path`. Whoever opens it has checked its hash before: FAISS trusts what it reads.

    `ids` (rows,) int64 in the order of the rows. Raises `UnreadableFile` for a file that is no index of `dim`.
    """

    def __init__(self, path: Path, dim: int, metric: int, mmap: bool = True) -> None:
        import faiss

        try:
            wrapped = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mmap else 0)
        except RuntimeError as error:
            raise UnreadableFile(f"{path} is not a readable FAISS index: {str(error).splitlines()[-1]}") from None
        if not isinstance(wrapped, faiss.IndexIDMap) or wrapped.d != dim or wrapped.metric_type != metric:
            raise UnreadableFile(f"{path} is not a segment of this index: another kind, dimension or metric")
        self.path = path
        self._wrapped = wrapped
        self.index = faiss.downcast_index(wrapped.index)
        self.ids = faiss.vector_to_array(wrapped.id_map)
        if len(self.ids) != self.index.ntotal:
            raise UnreadableFile(f"{path} holds {self.index.ntotal} rows and {len(self.ids)} ids")
        self._order = None if (np.diff(self.ids) > 0).all() else np.argsort(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """The positions of those of `ids` that are in this segment, ascending when the segment's ids are."""
        known = self.ids if self._order is None else self.ids[self._order]
        at = np.searchsorted(known, ids)
        at = at[known[np.minimum(at, len(known) - 1)] == ids] if len(known) else at[:0]
        return at if self._order is None else self._order[at]

    def search(
        self, queries: np.ndarray, k: int, selector: Any, settings: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and ids (Q, k), nearest first; where fewer are found, id -1."""
        scores, positions = self.index.search(queries, k, params=search_parameters(self.index, selector, settings))
        return scores, np.where(positions < 0, -1, self.ids[positions])

    def range_search(
        self, queries: np.ndarray, threshold: float, selector: Any, settings: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Limits (Q + 1,), scores and ids of everything nearer than `threshold`."""
        parameters = search_parameters(self.index, selector, settings)
        limits, scores, positions = self.index.range_search(queries, threshold, params=parameters)
        return limits.astype(np.int64), scores, self.ids[positions]


def segment_ids(path: Path) -> np.ndarray:
    """The ids (rows,) int64 that the FAISS file at `path` holds, in its order."""
    import faiss

    try:
        wrapped = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise UnreadableFile(f"{path} is not a readable FAISS index: {str(error).splitlines()[-1]}") from None
    return np.asarray(faiss.vector_to_array(wrapped.id_map))
