"""The vectors that an index is trained on: a sample of the blocks, drawn by position."""

from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.anatomy import base_of
from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.vectors import checked_features

PER_LIST = 64
AT_LEAST = 20_000


def train(index: Any, blocks: Blocks, count: int, dim: int, metric: str, seed: int) -> None:
    """Train `index` on a sample of the `count` vectors; the draw and FAISS's own are the same for equal seeds.

    Raises `InvalidInput` where there are too few vectors for it.
    """
    import faiss

    if index.is_trained:
        return
    base = base_of(faiss.downcast_index(index))
    for clustered in (base, getattr(base, "pq", None)):
        if clustered is not None and hasattr(clustered, "cp"):
            clustered.cp.seed = seed + 1234
            clustered.cp.min_points_per_centroid = 1  # or it warns once a list of less than 39
    sample = draw(blocks, count, sample_size(base, count), dim, metric, seed)
    try:
        index.train(sample)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].split("Error: ")[-1]
        raise InvalidInput(f"{len(sample)} vectors are too few to train such an index: {reason}") from None


def sample_size(base: Any, count: int) -> int:
    """How many of `count` vectors train `base`: some for every list, and enough for codes."""
    import faiss

    lists = base.nlist if isinstance(base, faiss.IndexIVF) else 0
    return int(min(count, max(AT_LEAST, PER_LIST * lists)))


def draw(blocks: Blocks, count: int, size: int, dim: int, metric: str, seed: int) -> np.ndarray:
    """`size` of the `count` vectors (size, D), drawn without replacement, in the order of the blocks."""
    wanted = (
        np.sort(np.random.default_rng(seed).choice(count, size, replace=False)) if size < count else np.arange(count)
    )
    sample = np.empty((size, dim), dtype=np.float32)
    seen = taken = 0
    for ids, block in blocks():
        mine = wanted[np.searchsorted(wanted, seen) : np.searchsorted(wanted, seen + len(ids))] - seen
        seen += len(ids)
        if not len(mine):
            continue
        _, rows = checked_features(np.asarray(block)[mine], np.asarray(ids)[mine], dim, metric)
        sample[taken : taken + len(rows)] = rows
        taken += len(rows)
    if seen != count:
        raise InvalidInput(f"{count} rows were announced and {seen} came")
    return sample
