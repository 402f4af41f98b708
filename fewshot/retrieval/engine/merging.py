"""Answers of several segments made one, nearest first."""

from collections.abc import Sequence

import numpy as np

from fewshot.retrieval.engine.metrics import larger_is_nearer

Found = tuple[np.ndarray, np.ndarray]


def merge(found: Sequence[Found], k: int, metric: str) -> Found:
    """The k nearest of several answers, each scores (Q, w) and ids (Q, w), nearest first."""
    if len(found) == 1:
        return found[0]
    scores = np.concatenate([scores for scores, _ in found], axis=1)
    ids = np.concatenate([ids for _, ids in found], axis=1)
    order = _nearest_first(scores, metric)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def merge_ranges(found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], queries: int, metric: str) -> list[Found]:
    """For each query, scores and ids of several range searches, each (limits (Q + 1,), scores, ids)."""
    merged = []
    for row in range(queries):
        parts = [slice(limits[row], limits[row + 1]) for limits, _, _ in found]
        scores = np.concatenate([np.empty(0, np.float32), *(s[at] for at, (_, s, _) in zip(parts, found, strict=True))])
        ids = np.concatenate([np.empty(0, np.int64), *(i[at] for at, (_, _, i) in zip(parts, found, strict=True))])
        order = _nearest_first(scores, metric)
        merged.append((scores[order], ids[order]))
    return merged


def _nearest_first(scores: np.ndarray, metric: str) -> np.ndarray:
    return np.argsort(-scores if larger_is_nearer(metric) else scores, axis=-1, kind="stable")
