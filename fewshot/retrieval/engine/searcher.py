"""Search over the segments of an index: each is asked for the living and allowed ids, and the answers are merged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.metrics import faiss_metric, larger_is_nearer, worst_score
from fewshot.retrieval.engine.segment import Segment
from fewshot.retrieval.engine.vectors import checked_queries


class Searcher:
    """An open index of some version: its segments, who is dead, and how hard to look unless told otherwise.

    segments, FAISS files whose hashes were checked; `dead` int64 ids that must not be found; `ids` int64, all ids of
    the index, dead or alive. `settings` holds nprobe, efSearch and k_factor. Opening takes milliseconds: the files are
    memory-mapped and stay readable after they are unlinked.
    """

    def __init__(
        self,
        segments: Sequence[Path],
        dim: int,
        metric: str,
        dead: np.ndarray,
        ids: np.ndarray,
        mmap: bool = True,
        settings: Mapping[str, float] | None = None,
    ) -> None:
        self.dim, self.metric, self.settings = dim, metric, dict(settings or {})
        self.segments = [Segment(Path(path), dim, faiss_metric(metric), mmap) for path in segments]
        self.dead = np.unique(np.asarray(dead, dtype=np.int64))
        self.live = len(ids) - len(self.dead)

    def __len__(self) -> int:
        return self.live

    def search(
        self,
        queries: np.ndarray,
        k: int,
        allowed: np.ndarray | None = None,
        settings: Mapping[str, float] | None = None,
        short: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, k) float32 and ids (Q, k) int64, nearest first.

        queries (Q, dim) or (dim,); `allowed` int64 ids, of which only the living can be found. Where fewer than k can
        be, the arrays have that many columns, or, with `short`, k columns with id -1 and score NaN at the end. Raises
        `InvalidInput` for k over the number of living rows and for queries of another shape or not finite.
        """
        queries = checked_queries(queries, self.dim, self.metric)
        if not 1 <= k <= self.live:
            raise InvalidInput(f"k must be between 1 and {self.live}, the rows of the index, found {k}")
        settings = {**self.settings, **(settings or {})}
        found = [
            segment.search(queries, min(k, len(segment)), self._selector(segment, allowed), settings)
            for segment in self.segments
            if len(segment)
        ]
        scores = np.concatenate([scores for scores, _ in found], axis=1)
        ids = np.concatenate([ids for _, ids in found], axis=1)
        scores = np.where(ids < 0, worst_score(self.metric), scores)
        order = np.argsort(-scores if larger_is_nearer(self.metric) else scores, axis=1, kind="stable")[:, :k]
        scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        if short:
            return np.where(ids < 0, np.nan, scores).astype(np.float32), ids
        width = int((ids >= 0).sum(axis=1).min()) if len(ids) else 0
        return scores[:, :width].astype(np.float32), ids[:, :width]

    def range_search(
        self,
        queries: np.ndarray,
        threshold: float,
        allowed: np.ndarray | None = None,
        settings: Mapping[str, float] | None = None,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query the scores and ids of everything nearer than `threshold`, nearest first."""
        queries = checked_queries(queries, self.dim, self.metric)
        settings = {**self.settings, **(settings or {})}
        found = [
            segment.range_search(queries, threshold, self._selector(segment, allowed), settings)
            for segment in self.segments
            if len(segment)
        ]
        hits = []
        for row in range(len(queries)):
            scores = np.concatenate([s[limits[row] : limits[row + 1]] for limits, s, _ in found])
            ids = np.concatenate([i[limits[row] : limits[row + 1]] for limits, _, i in found])
            order = np.argsort(-scores if larger_is_nearer(self.metric) else scores, kind="stable")
            hits.append((scores[order], ids[order]))
        return hits

    def _selector(self, segment: Segment, allowed: np.ndarray | None) -> Any:
        import faiss

        if allowed is None and not len(self.dead):
            return None
        if allowed is None:
            mask = np.ones(len(segment), dtype=bool)
        else:
            mask = np.zeros(len(segment), dtype=bool)
            mask[segment.positions(np.asarray(allowed, dtype=np.int64))] = True
        mask[segment.positions(self.dead)] = False
        return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
