"""The search of an index: queries made vectors, filters made ids, and the answer as `Hits`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.retrieval.search.hits import Hits
from fewshot.retrieval.search.queries import Queries, own_ids, read_queries
from fewshot.retrieval.search.where import matching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fewshot.retrieval.index import Index


def search(
    index: Index,
    query: Any,
    k: int = 10,
    where: str | None = None,
    exclude_self: bool = False,
    settings: Mapping[str, float] | None = None,
) -> Hits:
    """The `k` items nearest to `query`, or to each of a list of queries.

    query: a picture or its path, a text, an id, a vector (D,), or several of them; `where`, a filter such as
    `label = 'mug' and year > 2019`; `exclude_self` leaves out the item that asks, told by its id or by the content of
    its file. Fewer than k are found where the filter leaves fewer. Raises `InvalidInput` for k larger than the index.
    """
    asked = read_queries(index, query)
    allowed = None if where is None else matching(index.snapshot, where)
    if not exclude_self:
        scores, ids = index.searcher.search(asked.vectors, k, allowed, settings)
        return _hits(index, asked, scores, ids)
    own = own_ids(index, asked)
    more = max(map(len, own), default=0)
    wider = min(k + more, len(index.searcher)) if k <= len(index.searcher) else k
    scores, ids = index.searcher.search(asked.vectors, wider, allowed, settings)
    keep = ~np.stack([np.isin(row, mine) for row, mine in zip(ids, own, strict=True)])
    order = np.argsort(~keep, axis=1, kind="stable")[:, : min(k, int(keep.sum(axis=1).min()))]
    return _hits(index, asked, np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1))


def range_search(
    index: Index, query: Any, threshold: float, where: str | None = None, exclude_self: bool = False
) -> Hits | list[Hits]:
    """All items at least as near to `query` as `threshold`, nearest first; a list of answers for several queries.

    With cosine and inner product the score is `threshold` or more, with l2 the squared distance `threshold` or less.
    """
    asked = read_queries(index, query)
    allowed = None if where is None else matching(index.snapshot, where)
    found = index.searcher.range_search(asked.vectors, threshold, allowed)
    if exclude_self:
        own = own_ids(index, asked)
        kept = [~np.isin(ids, mine) for (_, ids), mine in zip(found, own, strict=True)]
        found = [(scores[keep], ids[keep]) for (scores, ids), keep in zip(found, kept, strict=True)]
    told = [Hits(index, name, scores, ids) for name, (scores, ids) in zip(asked.names, found, strict=True)]
    return told if asked.several else told[0]


def _hits(index: Index, asked: Queries, scores: np.ndarray, ids: np.ndarray) -> Hits:
    if asked.several:
        return Hits(index, asked.names, scores, ids)
    return Hits(index, asked.names[0], scores[0], ids[0])
