"""Exact search by brute force in bounded memory, in float64 where two candidates could change places."""

import numpy as np

from fewshot.retrieval.engine.building import Blocks
from fewshot.retrieval.engine.metrics import larger_is_nearer, worst_score
from fewshot.retrieval.engine.vectors import checked_queries


def exact_search(
    blocks: Blocks, queries: np.ndarray, k: int, metric: str, dead: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (Q, k) int64 and scores (Q, k) float64 of the k nearest living rows, nearest first, ties by id.

    Everything is computed in float64. Fewer than k living rows: id -1 and score NaN at the end.
    """
    queries = np.asarray(queries)
    queries = checked_queries(queries, queries.shape[-1], metric).astype(np.float64)
    sign = -1.0 if larger_is_nearer(metric) else 1.0
    best = np.full((len(queries), k), sign * worst_score(metric))
    best_ids = np.full((len(queries), k), -1, dtype=np.int64)
    for ids, features in blocks():
        keep = np.ones(len(ids), dtype=bool) if dead is None else ~np.isin(ids, dead)
        features = np.asarray(features[keep], dtype=np.float64)
        costs = queries @ features.T
        if metric == "l2":
            costs = (queries**2).sum(1)[:, None] - 2 * costs + (features**2).sum(1)
        costs = np.concatenate([best, sign * costs], axis=1)
        names = np.concatenate([best_ids, np.broadcast_to(ids[keep], (len(queries), int(keep.sum())))], axis=1)
        order = np.lexsort((names, costs), axis=1)[:, :k]
        best, best_ids = np.take_along_axis(costs, order, axis=1), np.take_along_axis(names, order, axis=1)
    return best_ids, np.where(best_ids < 0, np.nan, sign * best)
