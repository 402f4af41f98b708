"""Vectors out of a FAISS file that others made, such as autofaiss: those that it holds whole.

FAISS trusts what it reads, and such a file has no hash to be checked: open only those that you trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.engine.anatomy import store_of
from fewshot.retrieval.sources.source import VectorSource
from fewshot.retrieval.sources.vectors import UNKNOWN

ENDINGS = (".index", ".faiss")
NAMES = ("knn.index", "image.index", "text.index")  # as autofaiss and clip-retrieval call them


def faiss_vectors(path: Path) -> VectorSource:
    """The vectors of the FAISS file at `path`; the number or the id of a row is its key.

    Taken from Flat, HNSW over Flat, IVF with Flat, and any index refined by whole vectors. Raises `UnreadableFile` for
    anything but an index, and `InvalidInput` for one that keeps codes alone: what they decode to is not what was added.
    """
    import faiss

    try:
        opened = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise UnreadableFile(f"{path} is not a readable FAISS index: {str(error).strip().splitlines()[-1]}") from None
    inner = faiss.downcast_index(opened.index) if isinstance(opened, faiss.IndexIDMap) else opened
    ids = faiss.vector_to_array(opened.id_map) if inner is not opened else np.arange(inner.ntotal)
    store = store_of(inner)
    if isinstance(store, faiss.IndexFlat):
        whole = faiss.rev_swig_ptr(store.get_xb(), store.ntotal * store.d).reshape(-1, store.d)
    elif isinstance(inner, faiss.IndexIVFFlat):
        whole, ids = _of_lists(inner, ids)
    else:
        raise InvalidInput(
            f"{path} is a {type(inner).__name__}, which keeps codes and not the vectors themselves; build from the "
            "vectors that it was made of (a .npy, or the folder with img_emb/)"
        )
    kept = whole, opened  # the rows lie in what was opened

    def take(start: int, stop: int) -> np.ndarray:
        return np.array(kept[0][start:stop], np.float32)

    described = {"kind": "faiss", "path": str(path.resolve())}
    keys = [str(number) for number in ids.tolist()]
    return VectorSource(path.name, take, inner.d, keys, [None] * len(keys), None, described, UNKNOWN)


def faiss_file_in(folder: Path) -> Path | None:
    """The FAISS file that autofaiss or clip-retrieval left in `folder`; None where there is none."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _of_lists(lists: Any, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of inverted lists (N, D) in the order of their numbers, and their ids."""
    import faiss

    whole, numbers = np.empty((lists.ntotal, lists.d), np.float32), np.empty(lists.ntotal, np.int64)
    at = 0
    for place in range(lists.nlist):
        count = lists.invlists.list_size(place)
        if count:
            codes = faiss.rev_swig_ptr(lists.invlists.get_codes(place), count * lists.code_size)
            whole[at : at + count] = codes.view(np.float32).reshape(count, lists.d)
            numbers[at : at + count] = faiss.rev_swig_ptr(lists.invlists.get_ids(place), count)
            at += count
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    same = len(ids) == len(numbers) and np.array_equal(numbers, np.arange(len(numbers)))
    return whole[order], ids if same else numbers
