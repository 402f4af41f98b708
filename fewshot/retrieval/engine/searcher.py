"""Search over the segments of an index: each is asked for the living and allowed ids, and the answers are merged."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.engine.merging import merge, merge_ranges
from fewshot.retrieval.engine.metrics import faiss_metric, larger_is_nearer
from fewshot.retrieval.engine.parameters import checked_settings
from fewshot.retrieval.engine.segment import Segment
from fewshot.retrieval.engine.selection import Selection
from fewshot.retrieval.engine.vectors import checked_queries

Selections = list[Selection | None]


class Searcher:
    """An open index of some version: its segments, who is dead, and how hard to look unless told otherwise.

    segments, FAISS files whose hashes were checked; `dead` int64 ids that must not be found; `ids` int64, all ids of
    the index, dead or alive. `settings` holds nprobe, efSearch, k_factor, and exact (1: look at every vector). Opening
    takes milliseconds: the files are memory-mapped and stay readable after they are unlinked. Raises `UnreadableFile`
    when the segments hold other ids than `ids`.
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
        self.dim, self.metric, self.settings = dim, metric, checked_settings(settings or {})
        opened = [Segment(Path(path), dim, faiss_metric(metric), mmap) for path in segments]
        self.segments = [segment for segment in opened if len(segment)]
        held = np.concatenate([np.empty(0, np.int64), *(segment.ids for segment in self.segments)])
        if not np.array_equal(_sorted(held), _sorted(np.asarray(ids, dtype=np.int64))):
            raise UnreadableFile(f"the segments hold {len(held)} ids that are not the {len(ids)} of the index")
        self.dead = np.unique(np.asarray(dead, dtype=np.int64))
        self._living: Selections = [self._select(segment, None) for segment in self.segments]
        self.live = sum(_count(s, found) for s, found in zip(self.segments, self._living, strict=True))

    def __len__(self) -> int:
        return self.live

    def allow(self, ids: np.ndarray) -> Selections:
        """A filter made ready: the living of `ids`, to be given as `allowed` to many searches."""
        ids = np.asarray(ids, dtype=np.int64)
        return [self._select(segment, ids) for segment in self.segments]

    def search(
        self,
        queries: np.ndarray,
        k: int,
        allowed: np.ndarray | Selections | None = None,
        settings: Mapping[str, float] | None = None,
        short: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, k) float32 and ids (Q, k) int64, nearest first.

        queries (Q, dim) or (dim,); `allowed` int64 ids (or what `allow` made of them), of which only the living can be
        found. Where fewer than k can be, the arrays have that many columns, or, with `short`, k columns with id -1 and
        score NaN at the end. Raises `InvalidInput` for k over the number of living rows and for queries of another
        shape or not finite.
        """
        queries = checked_queries(queries, self.dim, self.metric)
        if not self.live:
            raise InvalidInput("the index is empty, there is nothing to find")
        if not 1 <= k <= self.live:
            raise InvalidInput(f"k must be between 1 and {self.live}, the rows of the index, found {k}")
        settings = {**self.settings, **checked_settings(settings)} if settings else self.settings
        found = [
            segment.search(queries, k, selection, settings)
            for segment, selection in zip(self.segments, self._selections(allowed), strict=True)
        ]
        scores, ids = merge(found, k, self.metric)
        if short and ids.shape[1] < k:
            beyond = ((0, 0), (0, k - ids.shape[1]))
            return np.pad(scores, beyond, constant_values=np.nan), np.pad(ids, beyond, constant_values=-1)
        return scores, ids

    def range_search(
        self,
        queries: np.ndarray,
        threshold: float,
        allowed: np.ndarray | Selections | None = None,
        settings: Mapping[str, float] | None = None,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query the scores and ids of everything at least as near as `threshold`, nearest first.

        Every vector is looked at, unless `settings` are given: then only what these settings reach.
        """
        queries = checked_queries(queries, self.dim, self.metric)
        beyond = np.float32(-np.inf if larger_is_nearer(self.metric) else np.inf)
        limit = float(np.nextafter(np.float32(threshold), beyond))  # FAISS leaves out what lies on the limit
        found = [
            segment.range_search(queries, limit, selection, checked_settings(settings or {}))
            for segment, selection in zip(self.segments, self._selections(allowed), strict=True)
        ]
        return merge_ranges(found, len(queries), self.metric)

    def _selections(self, allowed: np.ndarray | Selections | None) -> Selections:
        if allowed is None:
            return self._living
        return allowed if isinstance(allowed, list) else self.allow(allowed)

    def _select(self, segment: Segment, allowed: np.ndarray | None) -> Selection | None:
        dead = segment.positions(self.dead)
        if allowed is None and not len(dead):
            return None
        mask = np.full(len(segment), allowed is None)
        if allowed is not None:
            mask[segment.positions(allowed)] = True
        mask[dead] = False
        return Selection(mask)


def _count(segment: Segment, selection: Selection | None) -> int:
    return len(segment) if selection is None else selection.count


def _sorted(ids: np.ndarray) -> np.ndarray:
    return ids if (ids[1:] > ids[:-1]).all() else np.sort(ids)
