"""The nearest labelled items, of all classes or of all but one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fewshot.retrieval.engine import exact_search, larger_is_nearer
from fewshot.retrieval.recognition.support import Support

BEYOND = 8  # items looked at beyond those wanted, before more are asked for
WIDEST = 4096  # items looked at, at most, before a class is left out of the search itself

NOTHING = (-np.inf, -1, -1)  # closeness, class and id where there is no such item


class Found(NamedTuple):
    """For each query what is nearest to it, nearest first: closeness (Q, k) float64, larger is nearer whatever the
    metric; classes (Q, k); ids (Q, k), or the classes again where classes are what was looked for. Places that nothing
    fills have closeness -inf and -1.
    """

    closeness: np.ndarray
    classes: np.ndarray
    ids: np.ndarray


def nearest_items(support: Support, vectors: np.ndarray, k: int) -> Found:
    """The `k` nearest items to vectors (Q, D), as the index finds them with its own settings."""
    return _search(support, vectors, k, support.allowed)


def nearest_items_of_others(support: Support, vectors: np.ndarray, own: np.ndarray, k: int) -> Found:
    """The same among the items of all classes but those, one or more, that `own` (Q, E) names for each query."""
    found = _nothing(len(vectors), k)
    pending, width = np.arange(len(vectors)), min(len(support), k + BEYOND)
    while len(pending):
        some = nearest_items(support, vectors[pending], width)
        others = (some.classes[:, :, None] != own[pending, None]).all(2)
        done = (others.sum(1) >= k) | (width == len(support))
        order = np.argsort(~others, axis=1, kind="stable")[:, :k]
        fits = np.take_along_axis(others, order, 1)
        for kept, part, nothing in zip(found, some, NOTHING, strict=True):
            rows = np.where(fits, np.take_along_axis(part, order, 1), nothing)
            kept[pending[done], : rows.shape[1]] = rows[done]
        pending = pending[~done]
        if width >= WIDEST and len(pending):
            _without_class(support, vectors, own, k, pending, found)
            break
        width = min(len(support), 4 * width)
    return found


def nearest_means(support: Support, vectors: np.ndarray, k: int, own: np.ndarray | None = None) -> Found:
    """The classes with the `k` nearest means, exactly; `own` (Q,) names one for each query that is passed over."""
    names = np.arange(len(support.names))
    wanted = k if own is None else k + 1
    classes, scores = exact_search(lambda: iter([(names, support.means)]), vectors, wanted, support.metric)
    closeness = np.where(classes < 0, -np.inf, _closeness(scores, support.metric))
    if own is not None:
        order = np.argsort(classes == own[:, None], axis=1, kind="stable")[:, :k]
        classes, closeness = np.take_along_axis(classes, order, 1), np.take_along_axis(closeness, order, 1)
        gone = classes == own[:, None]
        classes, closeness = np.where(gone, -1, classes), np.where(gone, -np.inf, closeness)
    return Found(closeness, classes, classes)


def _without_class(
    support: Support, vectors: np.ndarray, own: np.ndarray, k: int, pending: np.ndarray, found: Found
) -> None:
    """Fill the rows `pending` of `found` by searches that leave out classes."""
    for names in np.unique(own[pending], axis=0):
        rows = pending[(own[pending] == names).all(1)]
        others = support.ids[~np.isin(support.classes, names)]
        if not len(others):
            continue
        some = _search(support, vectors[rows], min(k, len(others)), support.searcher.allow(others))
        for kept, part in zip(found, some, strict=True):
            kept[rows, : part.shape[1]] = part


def _search(support: Support, vectors: np.ndarray, k: int, allowed: object) -> Found:
    scores, ids = support.searcher.search(vectors, k, allowed)  # type: ignore[arg-type]
    return Found(_closeness(scores, support.metric), support.class_of(ids), ids)


def _closeness(scores: np.ndarray, metric: str) -> np.ndarray:
    scores = scores.astype(np.float64)
    return scores if larger_is_nearer(metric) else -scores


def _nothing(queries: int, k: int) -> Found:
    return Found(*(np.full((queries, k), nothing) for nothing in NOTHING))
