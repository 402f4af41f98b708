"""Items that are alike: groups joined by pairs at least as near as a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine import larger_is_nearer
from fewshot.retrieval.search.where import matching

if TYPE_CHECKING:
    from fewshot.retrieval.index import Index

NEIGHBOURS = 32
TOGETHER = 1024
MOST_PAIRS = 20_000_000
ALL_UP_TO = 20_000


@dataclass(frozen=True)
class Duplicates:
    """Groups of ids, each ascending, the largest group first; `pairs` (n, 2) ids and their `scores` (n,)."""

    groups: tuple[tuple[int, ...], ...]
    pairs: np.ndarray
    scores: np.ndarray
    threshold: float

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def extra(self) -> tuple[int, ...]:
        """The ids to delete so that one of each group, the oldest, is kept."""
        return tuple(sorted(id for group in self.groups for id in group[1:]))


def duplicates(
    index: Index, threshold: float = 0.98, where: str | None = None, exact: bool | None = None
) -> Duplicates:
    """Groups of items that are joined by pairs at least as near as `threshold` (l2: squared distance at most that).

    exact=True compares every item with every other, block by block; False asks the index for the 32 nearest of each,
    and for more where all of these are near enough; None is exact up to 20,000 items. A chain of near pairs makes one
    group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not np.isfinite(threshold):
        raise InvalidInput(f"threshold must be a number, found {threshold}")
    snapshot = index.snapshot
    ids = snapshot.ids[snapshot.alive] if where is None else matching(snapshot, where)
    exact = len(ids) <= ALL_UP_TO if exact is None else exact
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    selections = index.searcher.allow(ids) if where is not None else None
    count = 0
    for start in range(0, len(ids), TOGETHER):
        some = ids[start : start + TOGETHER]
        vectors = snapshot.vectors(snapshot.positions(some))
        near = _near_exactly if exact else _near_by_index
        found += near(index, some, vectors, threshold, selections)
        count += sum(len(scores) for *_, scores in found[-len(some) :])
        if count > MOST_PAIRS:
            raise InvalidInput(
                f"more than {MOST_PAIRS:,} pairs are as near as {threshold:g}; take a stricter threshold"
            )
    first, second, scores = (np.concatenate(part) for part in zip(*found, strict=True)) if found else _nothing()
    low, high = np.minimum(first, second), np.maximum(first, second)
    pairs, once = np.unique(np.stack([low, high], axis=1), axis=0, return_index=True)
    places = np.searchsorted(ids, pairs)
    graph = coo_array((np.ones(len(pairs), bool), (places[:, 0], places[:, 1])), shape=(len(ids), len(ids)))
    _, group_of = connected_components(graph, directed=False)
    return Duplicates(_groups(ids, group_of), pairs, scores[once], threshold)


def _near_exactly(index: Index, ids: np.ndarray, vectors: np.ndarray, threshold: float, allowed: Any) -> list[Any]:
    answers = index.searcher.range_search(vectors, threshold, allowed)
    return [_pairs(id, near, scores) for id, (scores, near) in zip(ids, answers, strict=True)]


def _near_by_index(index: Index, ids: np.ndarray, vectors: np.ndarray, threshold: float, allowed: Any) -> list[Any]:
    k = min(NEIGHBOURS, len(index.searcher))
    scores, near = index.searcher.search(vectors, k, allowed)
    enough = scores >= threshold if larger_is_nearer(index.manifest.metric) else scores <= threshold
    full = enough.all(axis=1) & (near.shape[1] == NEIGHBOURS)
    found = _near_exactly(index, ids[full], vectors[full], threshold, allowed) if full.any() else []
    rows = np.flatnonzero(~full)
    return found + [_pairs(ids[row], near[row][enough[row]], scores[row][enough[row]]) for row in rows]


def _pairs(id: int, near: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    others = near != id
    return np.full(int(others.sum()), id, np.int64), near[others], scores[others]


def _nothing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)


def _groups(ids: np.ndarray, group_of: np.ndarray) -> tuple[tuple[int, ...], ...]:
    order = np.argsort(group_of, kind="stable")
    cuts = np.flatnonzero(np.diff(group_of[order])) + 1
    groups = [tuple(part.tolist()) for part in np.split(ids[order], cuts) if len(part) > 1]
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))
