"""Indexes that `benchmarks/index.py` measures side by side, each with one knob: FAISS itself, hnswlib, usearch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from fewshot.retrieval.engine.knobs import REFINED, rungs
from fewshot.retrieval.engine.parameters import search_parameters

Search = Callable[[np.ndarray, int, Any], np.ndarray]


@dataclass(frozen=True)
class Built:
    """A filled index: `search(queries, k, setting)` gives ids; `ladders` of settings climb from fast to thorough."""

    search: Search
    ladders: list[list[Any]]
    bytes: int


def raw_faiss(factory: str, vectors: np.ndarray, trained_on: int) -> Built:
    """FAISS by hand, as well as its users know how: trained on a sample, parameters given at each search."""
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        rows = np.random.default_rng(0).choice(len(vectors), min(trained_on, len(vectors)), replace=False)
        index.train(vectors[np.sort(rows)])
    index.add(vectors)
    inner = faiss.downcast_index(index)

    def search(queries: np.ndarray, k: int, setting: dict[str, float]) -> np.ndarray:
        return index.search(queries, k, params=search_parameters(inner, None, setting))[1]

    if "IVF" in factory:
        steps: list[dict[str, float]] = [{"nprobe": rung} for rung in rungs(1, faiss.extract_index_ivf(index).nlist)]
    elif "HNSW" in factory:
        steps = [{"efSearch": rung} for rung in rungs(10, 4096)]
    else:
        steps = [{}]
    refined = isinstance(inner, faiss.IndexRefine)
    ladders = [[{**rung, "k_factor": factor} for rung in steps] for factor in REFINED] if refined else [steps]
    return Built(search, ladders, len(faiss.serialize_index(index)))


def hnswlib_index(vectors: np.ndarray, links: int, construction: int) -> Built:
    """hnswlib, inner product, one thread."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=links, ef_construction=construction)
    index.set_num_threads(1)
    index.add_items(vectors, np.arange(len(vectors)), num_threads=1)

    def search(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.set_ef(ef)
        return index.knn_query(queries, k, num_threads=1)[0].astype(np.int64)

    return Built(search, [rungs(10, 4096)], index.index_file_size())


def usearch_index(vectors: np.ndarray, links: int, dtype: str) -> Built:
    """usearch, inner product, one thread."""
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype=dtype, connectivity=links)
    index.add(np.arange(len(vectors)), vectors, threads=1)

    def search(queries: np.ndarray, k: int, expansion: int) -> np.ndarray:
        index.expansion_search = expansion
        found = index.search(queries, k, threads=1).keys.astype(np.int64)
        return found.reshape(-1, k)

    return Built(search, [rungs(10, 4096)], index.serialized_length)
