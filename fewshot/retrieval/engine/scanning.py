"""Scanning the vectors of a segment, all or some: what search falls back on, exact where the vectors are whole."""

from typing import Any

import numpy as np

from fewshot.retrieval.engine.selection import Selection

MOST = 0.5  # above this share of rows, all are scanned and the others dropped
FEW_QUERIES = 16  # below this, listed rows are visited in place instead of gathered
EXTRA = 16
GATHERED = 65_536


def scan(store: Any, queries: np.ndarray, k: int, selection: Selection | None) -> tuple[np.ndarray, np.ndarray]:
    """Scores and positions (Q, k) of the nearest selected rows of `store`; k may not exceed their number."""
    import faiss

    if selection is None:
        return store.search(queries, k)
    if selection.share >= MOST:
        return _drop(store, queries, k, selection)
    if len(queries) < FEW_QUERIES or not isinstance(store, faiss.IndexFlat):
        return store.search(queries, k, params=faiss.SearchParameters(sel=selection.listed))
    return _gather(store, queries, k, selection)


def _drop(store: Any, queries: np.ndarray, k: int, selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """All rows at FAISS's full speed, a few hits more than k, and then without the rows not selected."""
    import faiss

    scores, positions = store.search(queries, min(k + EXTRA, store.ntotal))
    keep = selection.mask[positions]
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    scores, positions = np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)
    short = np.flatnonzero(keep.sum(axis=1) < k)
    if len(short):
        parameters = faiss.SearchParameters(sel=selection.bits)
        scores[short], positions[short] = store.search(queries[short], k, params=parameters)
    return scores, positions


def _gather(store: Any, queries: np.ndarray, k: int, selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """The selected rows side by side, a block at a time, so that many queries are one matrix product."""
    import faiss

    vectors = faiss.rev_swig_ptr(store.get_xb(), store.ntotal * store.d).reshape(store.ntotal, store.d)
    larger = store.metric_type == faiss.METRIC_INNER_PRODUCT
    heap = faiss.ResultHeap(len(queries), k, keep_max=larger)
    for start in range(0, selection.count, GATHERED):
        block = selection.positions[start : start + GATHERED]
        scores, found = faiss.knn(queries, vectors[block], min(k, len(block)), metric=store.metric_type)
        heap.add_result(scores, block[found])
    heap.finalize()
    return heap.D, heap.I
