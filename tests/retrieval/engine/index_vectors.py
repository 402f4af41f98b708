"""Vectors with clusters, and loops in float64 to compare with."""

from collections.abc import Iterator

import numpy as np

DIM = 32
KINDS = (
    "Flat",
    "SQ8",
    "HNSW16",
    "HNSW16,SQ8",
    "IVF16,Flat",
    "IVF16,SQ8",
    "IVF16,PQ16x4fs,RFlat",
    "IVF16,PQ16x4fs,Refine(SQ8)",
    "IVF16,RaBitQ,RFlat",
    "IVF16,RaBitQfs,RFlat",
    "IVF16_HNSW16,Flat",
    "PCA24,IVF16,PQ12x4fs,RFlat",
)
METRICS = ("cosine", "inner-product", "l2")


def clustered(count: int, metric: str = "cosine", dim: int = DIM, seed: int = 0) -> np.ndarray:
    """(count, dim) float32 around forty centres, of unit length with cosine."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, dim))
    vectors = centres[draw.integers(0, 40, count)] + 0.6 * draw.normal(size=(count, dim))
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def blocks_of(ids: np.ndarray, vectors: np.ndarray, size: int = 700):
    """The vectors as the engine wants them: blocks that can be gone through again."""

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(ids), size):
            yield ids[start : start + size], vectors[start : start + size]

    return blocks


def scores_of(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """(Q, n) float64: by the formula, pair by pair."""
    queries, vectors = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "l2":
        return ((queries[:, None] - vectors[None]) ** 2).sum(-1)
    if metric == "cosine":
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return queries @ vectors.T


def nearest(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray, k: int, metric: str) -> np.ndarray:
    """(Q, k) ids by sorting all scores."""
    scores = scores_of(queries, vectors, metric)
    return ids[np.argsort(scores if metric == "l2" else -scores, axis=1, kind="stable")[:, :k]]


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """The share of `truth` (Q, k) that is in `found`."""
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]) / truth.shape[1])
