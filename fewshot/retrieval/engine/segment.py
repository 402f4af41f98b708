"""One FAISS file of an index, opened memory-mapped: its own positions inside, the index's ids outside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import UnreadableFile
from fewshot.retrieval.engine.anatomy import base_of, store_of
from fewshot.retrieval.engine.parameters import THOROUGH, search_parameters, widened
from fewshot.retrieval.engine.scanning import scan
from fewshot.retrieval.engine.selection import Selection

FEW_ROWS = 4096  # so many or fewer may be found: each is looked at


class Segment:
    """A FAISS file read from `path`. Whoever opens it has checked its hash before: FAISS trusts what it reads.

    `ids` (rows,) int64 in the order of the rows. Raises `UnreadableFile` for a file that is no index of `dim`.
    """

    def __init__(self, path: Path, dim: int, metric: int, mmap: bool = True) -> None:
        self._wrapped, self.index = read_segment(path, mmap)
        self.ids = _ids_in(self._wrapped)
        if self._wrapped.d != dim or self._wrapped.metric_type != metric:
            raise UnreadableFile(f"{path} is not a segment of this index: it has another dimension or metric")
        if len(self.ids) != self.index.ntotal:
            raise UnreadableFile(f"{path} holds {self.index.ntotal} rows and {len(self.ids)} ids")
        self.store = store_of(self.index)
        self._scan_alone = self.store is not None and base_of(self.index) is self.store
        # making parameters takes longer than many a search; one tuple, so that threads never see half of it
        self._last_asked: tuple[Any, Selection | None, Any] = (None, None, None)
        self._order = None if (self.ids[1:] > self.ids[:-1]).all() else np.argsort(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """The positions of those of `ids` that are in this segment."""
        if not len(self.ids):
            return np.empty(0, dtype=np.int64)
        known = self.ids if self._order is None else self.ids[self._order]
        at = np.searchsorted(known, ids)
        at = at[known[np.minimum(at, len(known) - 1)] == ids]
        return at if self._order is None else self._order[at]

    def search(
        self, queries: np.ndarray, k: int, selection: Selection | None, settings: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and ids (Q, w), nearest first; w is the smaller of k and the rows selected.

        It is less only where a graph under a transform does not lead to all of them.
        """
        count = len(self) if selection is None else selection.count
        k = min(k, count)
        if k == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if self.store is not None and (settings.get("exact") or count <= FEW_ROWS or self._scan_alone):
            scores, positions = scan(self.store, queries, k, selection)
            return scores, self.ids[positions]
        share = count / len(self)
        effort = THOROUGH if settings.get("exact") or count <= FEW_ROWS else widened(settings, share)
        scores, positions = self._ask(queries, k, selection, effort)
        short = np.flatnonzero(positions[:, -1] < 0)
        if len(short):
            scores[short], positions[short] = (
                self._ask(queries[short], k, selection, THOROUGH)
                if self.store is None
                else scan(self.store, queries[short], k, selection)
            )
            width = int((positions[short] >= 0).sum(axis=1).min())  # a graph may not lead to all that is allowed
            scores, positions = scores[:, :width], positions[:, :width]
        return scores, self.ids[positions]

    def range_search(
        self, queries: np.ndarray, threshold: float, selection: Selection | None, settings: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Limits (Q + 1,), scores and ids of everything nearer than `threshold`; all of it unless settings say less."""
        index = self.store if self.store is not None and not settings else self.index
        selector = None if selection is None else selection.bits
        parameters = search_parameters(index, selector, settings or THOROUGH)
        limits, scores, positions = index.range_search(queries, threshold, params=parameters)
        return limits.astype(np.int64), scores, self.ids[positions]

    def _ask(
        self, queries: np.ndarray, k: int, selection: Selection | None, settings: Mapping[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        key = tuple(settings.items())
        last_key, last_selection, parameters = self._last_asked
        if last_key != key or last_selection is not selection:
            selector = None if selection is None else selection.bits
            parameters = search_parameters(self.index, selector, settings)
            self._last_asked = key, selection, parameters
        return self.index.search(queries, k, params=parameters)


def read_segment(path: Path, mmap: bool = True) -> tuple[Any, Any]:
    """The FAISS index with ids at `path`, and the one within that is searched; the first must outlive the second."""
    import faiss

    try:
        wrapped = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mmap else 0)
    except RuntimeError as error:
        raise UnreadableFile(f"{path} is not a readable FAISS index: {str(error).strip().splitlines()[-1]}") from None
    if not isinstance(wrapped, faiss.IndexIDMap):
        raise UnreadableFile(f"{path} is a FAISS index without ids; ours have them")
    return wrapped, faiss.downcast_index(wrapped.index)


def segment_ids(path: Path) -> np.ndarray:
    """The ids (rows,) int64 that the FAISS file at `path` holds, in its order."""
    wrapped, index = read_segment(path)
    ids = _ids_in(wrapped)
    if len(ids) != index.ntotal:
        raise UnreadableFile(f"{path} holds {index.ntotal} rows and {len(ids)} ids")
    return ids


def _ids_in(wrapped: Any) -> np.ndarray:
    import faiss

    return np.asarray(faiss.vector_to_array(wrapped.id_map))
