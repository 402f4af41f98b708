"""What an index knows of classes: the living items that have a label, and the mean of each class."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.retrieval.engine import Searcher
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.store import Snapshot


class Support:
    """The labelled living items of one version of an index.

    `ids` (n,) int64 ascend; `classes` (n,) int64 are places in `names`, which are sorted. Raises `InvalidInput` where
    no item has a label.
    """

    def __init__(self, snapshot: Snapshot, searcher: Searcher) -> None:
        self.snapshot, self.searcher = snapshot, searcher
        self.metric, self.dim = snapshot.manifest.metric, snapshot.manifest.dim
        encoded = snapshot.column("label").combine_chunks().dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy()
        known = [str(name) for name in encoded.dictionary.to_pylist()]
        kept = snapshot.alive & (codes >= 0)
        if not kept.any():
            raise InvalidInput(
                f"{snapshot.folder} has no labelled items to recognise by: build it from class folders, a labelled "
                "data set, or a table with the column label"
            )
        used = sorted(np.unique(codes[kept]).tolist(), key=known.__getitem__)
        place = np.full(len(known), -1, np.int64)
        place[used] = np.arange(len(used))
        self.names = tuple(known[code] for code in used)
        self.ids, self.classes = snapshot.ids[kept], place[codes[kept]]
        self.counts = np.bincount(self.classes, minlength=len(self.names))
        # unlabelled items have no say, so they must not be found
        self.allowed = None if len(self.ids) == len(snapshot) else searcher.allow(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def class_of(self, ids: np.ndarray) -> np.ndarray:
        """The classes of ids of this support, in their shape."""
        return self.classes[np.searchsorted(self.ids, ids)]

    @cached_property
    def means(self) -> np.ndarray:
        """The mean (C, D) float32 of each class, summed in float64; of unit length with cosine."""
        from scipy.sparse import csr_array

        sums = np.zeros((len(self.names), self.dim))
        for ids, features in self.snapshot.blocks():
            mine = np.isin(ids, self.ids, assume_unique=True)
            present, row = np.unique(self.class_of(ids[mine]), return_inverse=True)
            members = csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=(len(present), len(row)))
            sums[present] += members @ features[mine].astype(np.float64)
        means = sums / self.counts[:, None]
        if self.metric == "cosine":
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return means.astype(np.float32)


_SUPPORTS: WeakKeyDictionary[Index, Support] = WeakKeyDictionary()


def support_of(index: Index) -> Support:
    """The support of the version that `index` holds open, made once a version."""
    found = _SUPPORTS.get(index)
    if found is None or found.snapshot is not index.snapshot:
        found = _SUPPORTS[index] = Support(index.snapshot, index.searcher)
    return found
