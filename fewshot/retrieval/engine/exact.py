"""Exact search by brute force in bounded memory: float32 finds who can be among the nearest, float64 decides."""

import numpy as np

from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.metrics import faiss_metric, larger_is_nearer
from fewshot.retrieval.engine.vectors import checked_queries

MARGIN = 16  # candidates beyond k that float32 hands on
TOGETHER = 256  # queries at a time
ROUNDING = 2.0**-23


def exact_search(
    blocks: Blocks, queries: np.ndarray, k: int, metric: str, dead: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (Q, k) int64 and scores (Q, k) float64 of the k nearest living rows, nearest first, ties by id.

    Ranked by scores computed in float64. Float32 only leaves out rows whose score, with all its rounding, can't reach
    the k nearest; where it can't tell, float64 looks at the whole block. Fewer than k living rows: id -1 and score NaN
    at the end.
    """
    queries = np.asarray(queries)
    queries = checked_queries(queries, queries.shape[-1], metric)
    costs = np.full((len(queries), k), np.inf)
    names = np.full((len(queries), k), -1, dtype=np.int64)
    for ids, features in blocks():
        ids = np.asarray(ids, dtype=np.int64)
        if dead is not None and len(dead):
            living = ~np.isin(ids, dead)
            ids, features = ids[living], features[living]
        if not len(ids):
            continue
        features = np.ascontiguousarray(features, dtype=np.float32)
        for start in range(0, len(queries), TOGETHER):
            some = slice(start, start + TOGETHER)
            block_costs, block_names = _nearest_of_block(queries[some], ids, features, k, metric)
            all_costs = np.concatenate([costs[some], block_costs], axis=1)
            all_names = np.concatenate([names[some], block_names], axis=1)
            costs[some], names[some] = _first(all_costs, all_names, k)
    return names, np.where(names < 0, np.nan, -costs if larger_is_nearer(metric) else costs)


def _nearest_of_block(
    queries: np.ndarray, ids: np.ndarray, features: np.ndarray, k: int, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Costs (lower is nearer) in float64 and ids of the k nearest rows of one block."""
    import faiss

    count = len(features)
    if count <= k + MARGIN:
        return _first(_costs(queries, features[None], metric), np.broadcast_to(ids, (len(queries), count)), k)
    rough, positions = faiss.knn(queries, features, k + MARGIN, metric=faiss_metric(metric))
    costs = _costs(queries, features[positions], metric)
    last = -rough[:, -1] if larger_is_nearer(metric) else rough[:, -1]
    costs, names = _first(costs, ids[positions], k)
    asked, longest = np.linalg.norm(queries, axis=1), np.linalg.norm(features, axis=1).max()
    terms = asked * longest if larger_is_nearer(metric) else (asked + longest) ** 2
    slack = ROUNDING * queries.shape[1] * terms  # twice the most that float32 sums can be off
    for row in np.flatnonzero(last - slack <= costs[:, -1]):  # one left out could still be nearer
        whole = _costs(queries[row : row + 1], features[None], metric)
        costs[row : row + 1], names[row : row + 1] = _first(whole, ids[None], k)
    return costs, names


def _costs(queries: np.ndarray, candidates: np.ndarray, metric: str) -> np.ndarray:
    """Float64 costs (Q, c) of candidates (Q, c, D), or (1, c, D) that all queries share."""
    queries, candidates = queries.astype(np.float64), candidates.astype(np.float64)
    if metric == "l2":
        return np.asarray(((candidates - queries[:, None]) ** 2).sum(axis=-1))
    return np.asarray(-(candidates @ queries[:, :, None])[:, :, 0])


def _first(costs: np.ndarray, names: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((names, costs), axis=1)[:, :k]
    return np.take_along_axis(costs, order, axis=1), np.take_along_axis(names, order, axis=1)
