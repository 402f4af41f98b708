"""Vectors at the door: the right shape, finite, and of unit length where the metric is cosine."""

from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.metrics import UNIT_TOLERANCE


def checked_features(features: Any, ids: Any, dim: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A block to be indexed, as (ids (n,) int64, features (n, dim) float32 in C order).

    Raises `InvalidInput` naming the first bad id for a wrong shape, a NaN or infinite value, or, with cosine, a row
    that is not of unit length. FAISS would take all of them: a NaN row is counted and never found, an infinite one
    comes first for every query.
    """
    features = np.ascontiguousarray(features, dtype=np.float32)
    ids = np.asarray(ids)
    if features.ndim != 2 or features.shape[1] != dim:
        raise InvalidInput(f"features must have the shape (items, {dim}), found {features.shape}")
    if ids.shape != (len(features),) or not np.issubdtype(ids.dtype, np.integer):
        raise InvalidInput(f"{len(features)} rows need as many integer ids, found {ids.dtype} of shape {ids.shape}")
    ids = np.ascontiguousarray(ids, dtype=np.int64)
    if len(ids) and ids.min() < 0:
        raise InvalidInput(f"ids must be 0 or more, found {ids.min()}")
    squared = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    if not np.isfinite(squared).all():
        bad = np.flatnonzero(~np.isfinite(squared))
        raise InvalidInput(f"{len(bad)} rows hold NaN or infinite values, the first has the id {ids[bad[0]]}")
    if metric == "cosine" and (far := np.flatnonzero(abs(squared - 1) > 2 * UNIT_TOLERANCE)).size:
        found = squared[far[0]] ** 0.5
        raise InvalidInput(f"cosine needs rows of unit length; the row of id {ids[far[0]]} has the length {found:.4g}")
    return ids, features


def checked_queries(queries: Any, dim: int, metric: str) -> np.ndarray:
    """Queries (Q, dim) float32 in C order, of unit length with cosine; one vector (dim,) is a batch of one.

    Raises `InvalidInput` for a wrong shape, a NaN or infinite value, or a zero vector with cosine.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    if queries.ndim == 1:
        queries = queries[None]
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise InvalidInput(f"queries must have the shape (queries, {dim}), found {queries.shape}")
    squared = np.einsum("nd,nd->n", queries, queries)
    if not np.isfinite(squared).all():
        raise InvalidInput(f"query {np.flatnonzero(~np.isfinite(squared))[0]} holds NaN or infinite values")
    if metric != "cosine":
        return queries
    if not squared.all():
        raise InvalidInput(f"query {np.flatnonzero(squared == 0)[0]} is the zero vector, which has no direction")
    return np.asarray(queries / np.sqrt(squared)[:, None], dtype=np.float32)
