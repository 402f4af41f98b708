"""One segment: trained on a sample, filled block by block, written as one FAISS file."""

from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.choice import Choice
from fewshot.retrieval.engine.emptied import emptied
from fewshot.retrieval.engine.factories import make_index
from fewshot.retrieval.engine.sampling import train
from fewshot.retrieval.engine.vectors import checked_features
from fewshot.retrieval.engine.writing import write_faiss


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
    unit length, for an id that comes twice, and for another number of rows than `count`; nothing is written then.
    """
    import faiss

    factory = choice if isinstance(choice, str) else choice.factory
    if like is None:
        index = make_index(factory, dim, metric)
        train(index, blocks, count, dim, metric, seed)
        filled = faiss.IndexIDMap(index)
    else:
        filled = _like(like, factory, dim, metric)
    for block_ids, block in blocks():
        ids, features = checked_features(block, block_ids, dim, metric)
        filled.add_with_ids(features, ids)
    if filled.ntotal != count:
        raise InvalidInput(f"{count} rows were announced and {filled.ntotal} came")
    _refuse_doubles(faiss.vector_to_array(filled.id_map))
    write_faiss(filled, path)
    return {"factory": factory, "rows": count, "bytes": path.stat().st_size}


def _like(path: Path, factory: str, dim: int, metric: str) -> Any:
    """The segment at `path` with its trained parts and without its rows; it must be of `factory`."""
    import faiss

    fresh = make_index(factory, dim, metric)
    wrapped = emptied(path)
    if wrapped.d != dim or not isinstance(faiss.downcast_index(wrapped.index), type(faiss.downcast_index(fresh))):
        raise InvalidInput(f"{path} is no {factory!r} of dimension {dim}, new vectors can't be added by its quantiser")
    return wrapped


def _refuse_doubles(ids: np.ndarray) -> None:
    if (ids[1:] > ids[:-1]).all():
        return
    unique, times = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise InvalidInput(f"id {unique[times > 1][0]} comes {times[times > 1][0]} times; ids must be unique")
