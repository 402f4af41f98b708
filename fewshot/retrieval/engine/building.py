"""One segment: trained on a sample, filled block by block, written as one FAISS file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.choice import Choice
from fewshot.retrieval.engine.metrics import faiss_metric
from fewshot.retrieval.engine.vectors import checked_features

Blocks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Called, it gives blocks of (ids (n,) int64, features (n, D) float32); it can be called again."""


def build_segment(
    choice: Choice | str,
    blocks: Blocks,
    count: int,
    dim: int,
    metric: str,
    path: Path,
    like: Path | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a FAISS file at `path` over the `count` vectors of `blocks`, and tell what it holds.

    Trained on a sample of the blocks, or with the trained parts of the segment `like`. Only one block and the index
    are in memory. Raises `InvalidInput` for rows that are not finite, of another dimension or, with cosine, not of
    unit length, for an id that comes twice, and for another number of rows than `count`.
    """
    import faiss

    factory = choice if isinstance(choice, str) else choice.factory
    index = faiss.index_factory(dim, factory, faiss_metric(metric))
    filled = faiss.IndexIDMap(index)
    seen: list[np.ndarray] = []
    for block_ids, block in blocks():
        ids, features = checked_features(block, block_ids, dim, metric)
        filled.add_with_ids(features, ids)
        seen.append(ids)
    ids = np.concatenate(seen) if seen else np.empty(0, dtype=np.int64)
    if len(ids) != count:
        raise InvalidInput(f"{count} rows were announced and {len(ids)} came")
    unique, times = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise InvalidInput(f"id {unique[times > 1][0]} comes {times[times > 1][0]} times; ids must be unique")
    faiss.write_index(filled, str(path))
    return {"factory": factory, "rows": count, "bytes": path.stat().st_size}
