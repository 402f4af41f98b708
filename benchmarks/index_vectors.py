"""Clustered vectors of any number: overlapping clusters, each longer in some directions than in others."""

import numpy as np


def clustered(count: int, queries: int, dim: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (count, dim) and (queries, dim), float32, drawn alike: one cluster for each hundred.

    A cluster's extent falls off as i^-0.6 over its axes, which are turned one of eight ways, and is 1.25 times the
    distance of its centre from the origin, so that the neighbours of a vector lie in many clusters.
    """
    draw = np.random.default_rng(seed)
    clusters = max(count // 100, 1)
    centres = unit(draw.normal(size=(clusters, dim)).astype(np.float32))
    extent = (np.arange(1, dim + 1) ** -0.6).astype(np.float32)
    extent *= 1.25 / np.linalg.norm(extent)
    turns = [np.linalg.qr(draw.normal(size=(dim, dim)))[0].astype(np.float32) for _ in range(8)]
    cluster = draw.integers(0, clusters, count + queries)
    vectors = centres[cluster]
    for start in range(0, len(vectors), 16_384):
        block = slice(start, start + 16_384)
        noise = draw.normal(size=vectors[block].shape).astype(np.float32) * extent
        for way, turn in enumerate(turns):
            mine = cluster[block] % len(turns) == way
            noise[mine] = noise[mine] @ turn
        vectors[block] = unit(vectors[block] + noise)
    return vectors[:count], vectors[count:]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
