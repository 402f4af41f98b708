"""Joining FAISS files that were trained alike into one, list by list, without ever having the rows in memory.

FAISS writes an IVF index as its trained parts, then the inverted lists (`ilar`: sizes, then codes and row numbers list
by list), then, where candidates are refined, the whole vectors, then our ids. The joined file has the trained parts
once, each list of all files one after the other with its row numbers moved on, and the rest in the same order. It reads
as any other, memory-mapped too.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.engine.anatomy import base_of, in_lists, refines
from fewshot.retrieval.engine.emptied import emptied
from fewshot.retrieval.engine.segment import read_segment, segment_ids

NO_LISTS, NO_IDS = b"sprs" + bytes(8), bytes(8)
BLOCK = 2**24


def join_files(paths: Sequence[Path], out: Path) -> int:
    """Write at `out` one FAISS file with the rows of all `paths` in this order; gives their number.

    Raises `InvalidInput` where the files were not trained alike, or are of a kind that cannot be joined.
    """
    opened = [read_segment(path) for path in paths]
    parts = [index for _, index in opened]
    counts = [index.ntotal for index in parts]
    head, tail = _skeleton(paths[0], sum(counts))
    for path in paths[1:]:
        if trained_mark(path) != trained_mark(paths[0]):
            raise InvalidInput(f"{path.name} was trained on other vectors than {paths[0].name}, their lists don't join")
    with out.open("wb") as file:
        file.write(head)
        _write_lists(file, [base_of(part) for part in parts], counts)
        if refines(parts[0]):
            _write_refined(file, parts, tail)
        file.write(struct.pack("<Q", sum(counts)))
        for path in paths:
            file.write(np.ascontiguousarray(segment_ids(path), "<i8").data)
    _check(out, sum(counts))
    return sum(counts)


def joinable(index: Any) -> bool:
    """Whether rows of two such indexes, trained alike, can be laid one after the other in a file."""
    import faiss

    plain = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ, faiss.IndexIVFRaBitQ)
    return in_lists(index) and type(base_of(index)) in plain


def trained_mark(path: Path) -> bytes:
    """A hash of the trained parts of the FAISS file at `path`: alike where it is alike."""
    return blake2b(b"".join(_skeleton(path, 0)), digest_size=16).digest()


def _skeleton(path: Path, count: int) -> tuple[bytes, bytes]:
    """The file of so many rows up to where its lists begin, and from where they end to where the ids begin."""
    import faiss

    _owner, index = read_segment(path)
    if not joinable(index):
        raise InvalidInput(
            f"{path.name} is of a kind that can't be joined on disk: inverted lists of plain codes can (IVF with Flat, "
            "SQ, PQ or RaBitQ, alone or with RFlat), 4-bit fast-scan codes, graphs and Flat can't; use `fewshot index "
            "compact`, which needs the memory"
        )
    empty = emptied(path)
    index = faiss.downcast_index(empty.index)
    for part in (empty, index, base_of(index)):
        part.ntotal = count
    if refines(index):
        faiss.downcast_index(index.refine_index).ntotal = count
    written = faiss.serialize_index(empty).tobytes()
    lists = base_of(index)
    mark = b"ilar" + struct.pack("<QQ", lists.nlist, lists.code_size) + NO_LISTS
    at = written.rfind(mark)
    if at < 0 or not written.endswith(NO_IDS):
        raise InvalidInput(f"FAISS {faiss.__version__} writes {path.name} in another way than is known here")
    return written[: at + 20], written[at + len(mark) : -len(NO_IDS)]


def _write_lists(file: BinaryIO, parts: Sequence[Any], counts: Sequence[int]) -> None:
    import faiss

    lists = [faiss.downcast_InvertedLists(part.invlists) for part in parts]
    number, width = parts[0].nlist, parts[0].code_size
    sizes = np.array([[each.list_size(place) for each in lists] for place in range(number)], np.int64)
    firsts = np.cumsum([0, *counts])
    file.write(b"full" + struct.pack("<Q", number))
    file.write(sizes.sum(1).astype("<u8").data)
    for place in range(number):
        filled = [which for which in range(len(lists)) if sizes[place, which]]
        for which in filled:
            codes = faiss.rev_swig_ptr(lists[which].get_codes(place), int(sizes[place, which]) * width)
            file.write(codes.data)
        for which in filled:
            rows = faiss.rev_swig_ptr(lists[which].get_ids(place), int(sizes[place, which]))
            file.write((rows + firsts[which]).astype("<i8").data)


def _write_refined(file: BinaryIO, parts: Sequence[Any], tail: bytes) -> None:
    """The header of the whole vectors, their count in numbers, themselves, and what follows them."""
    import faiss

    stores = [faiss.downcast_index(part.refine_index) for part in parts]
    count = sum(store.ntotal * store.d for store in stores)
    header, rest = tail[: -len(NO_IDS) - 4], tail[-4:]  # the factor of candidates comes last, in four bytes
    file.write(header + struct.pack("<Q", count))
    for store in stores:
        flat = faiss.rev_swig_ptr(store.get_xb(), store.ntotal * store.d)
        for at in range(0, len(flat), BLOCK):
            file.write(flat[at : at + BLOCK].data)
    file.write(rest)


def _check(path: Path, count: int) -> None:
    wrapped, index = read_segment(path)
    held = sum(base_of(index).get_list_size(place) for place in range(base_of(index).nlist))
    if wrapped.ntotal != count or held != count or len(segment_ids(path)) != count:
        raise UnreadableFile(f"{path} should hold {count} rows and does not; the disk may be full or faulty")
