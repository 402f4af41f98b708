"""A FAISS file's trained parts without its rows: quantiser and codes. The lists stay on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.anatomy import base_of
from fewshot.retrieval.engine.segment import read_segment


def trained_parts(path: Path) -> Any:
    """The segment at `path` with its trained parts and no rows, ready to be added to; its rows are not read.

    Raises `InvalidInput` for a kind whose lists can't be joined on disk (see `joinable`).
    """
    import faiss

    wrapped, index = read_segment(path)
    lists = base_of(index)
    if not joinable(index):
        raise InvalidInput(
            f"{path.name} is a {type(index).__name__}, which can't be joined on disk: inverted lists of plain codes "
            "can (IVF with Flat, SQ, PQ or RaBitQ, alone or with RFlat), 4-bit fast-scan codes, graphs and Flat can't; "
            "use `fewshot index compact`, which needs the memory"
        )
    emptied = faiss.ArrayInvertedLists(lists.nlist, lists.code_size)
    emptied.this.disown()  # it belongs to the index from now on
    lists.replace_invlists(emptied, True)
    lists.ntotal = 0
    if isinstance(index, faiss.IndexRefineFlat):
        whole = faiss.IndexFlat(index.d, index.metric_type)
        whole.this.disown()
        index.refine_index = whole
    index.ntotal = wrapped.ntotal = 0
    wrapped.id_map.clear()
    return wrapped


def joinable(index: Any) -> bool:
    """Whether rows of two such indexes, trained alike, can be laid one after the other in a file."""
    import faiss

    lists = base_of(index)
    plain = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ, faiss.IndexIVFRaBitQ)
    if type(lists) not in plain:
        return False
    if isinstance(index, faiss.IndexRefine):
        alone = isinstance(faiss.downcast_index(index.base_index), faiss.IndexIVF)
        return alone and isinstance(index, faiss.IndexRefineFlat)
    return isinstance(index, faiss.IndexIVF | faiss.IndexPreTransform)
