"""The trained parts of a segment without its rows, so that new rows are added by the same quantisers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.retrieval.engine.anatomy import base_of, in_lists
from fewshot.retrieval.engine.segment import read_segment


def emptied(path: Path) -> Any:
    """The segment at `path` with its trained parts and no rows, ready to be added to.

    The rows are not read where they lie in inverted lists, with or without whole vectors beside them. Any other kind
    is read whole.
    """
    import faiss

    wrapped, index = read_segment(path)
    if not _replaceable(index):
        wrapped, _ = read_segment(path, mmap=False)  # FAISS aborts the process when a mapped index is emptied
        wrapped.reset()
        return wrapped
    lists = base_of(index)
    lists.replace_invlists(_given_away(_empty_lists(lists)), True)
    lists.ntotal = 0
    if isinstance(index, faiss.IndexRefineFlat):
        index.refine_index = _given_away(faiss.IndexFlat(index.d, index.metric_type))
    index.ntotal = wrapped.ntotal = 0
    wrapped.id_map.clear()
    return wrapped


def _replaceable(index: Any) -> bool:
    import faiss

    kept = (faiss.ArrayInvertedLists, faiss.BlockInvertedLists)
    return in_lists(index) and type(faiss.downcast_InvertedLists(base_of(index).invlists)) in kept


def _empty_lists(lists: Any) -> Any:
    import faiss

    if isinstance(faiss.downcast_InvertedLists(lists.invlists), faiss.BlockInvertedLists):
        return faiss.BlockInvertedLists(lists.nlist, _given_away(lists.get_CodePacker()))
    return faiss.ArrayInvertedLists(lists.nlist, lists.code_size)


def _given_away(part: Any) -> Any:
    """`part`, which from now on belongs to what it is put into."""
    part.this.disown()
    return part
