"""Merge: all segments of an index become one on disk; only its trained parts and one added part are ever in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fewshot.errors import InvalidInput
from fewshot.retrieval.build.plan import disk_free, size
from fewshot.retrieval.build.publishing import now, publish, sweep, versions
from fewshot.retrieval.build.segments import segment_name
from fewshot.retrieval.engine import Blocks
from fewshot.retrieval.engine.emptied import emptied
from fewshot.retrieval.engine.vectors import checked_features
from fewshot.retrieval.engine.writing import write_faiss
from fewshot.retrieval.scale.joining import join_files, trained_mark
from fewshot.retrieval.store import Manifest, Segment, Snapshot, open_version, writing_lock
from fewshot.retrieval.store.hashes import notes_of
from fewshot.retrieval.store.writing import new_file, remove_file


def merge(folder: Path, wait: float = 0.0) -> bool:
    """Make one segment of all, trained as the largest is and not anew; False where there is one already.

    Searches give what they gave: the same lists are visited. Segments of another kind (the small ones that `add` makes)
    are added by the quantiser of the largest. Deleted items stay hidden, `compact` gives their room back. Raises
    `InvalidInput` where the largest segment is of a kind that cannot be joined on disk.
    """
    with writing_lock(folder, wait):
        there = open_version(folder)
        manifest = there.manifest
        sweep(folder, manifest)
        if len(manifest.segments) <= 1:
            return False
        base = max(manifest.segments, key=lambda segment: segment.rows)
        place = folder / "segments"
        mark = trained_mark(place / f"{base.name}.faiss")
        needed = sum(note.bytes for segment in manifest.segments for note in segment.files.values())
        if needed > (free := disk_free(folder)):
            raise InvalidInput(f"merging {folder} needs about {size(needed)} on disk, and {size(free)} are free")
        name = segment_name(manifest.generation + 1)
        parts, made = [], []
        for number, segment in enumerate(manifest.segments):
            path = place / f"{segment.name}.faiss"
            if segment.factory != base.factory or trained_mark(path) != mark:
                path = place / f"{name}-part{number}.faiss"
                made.append(path)
                with new_file(path) as beside:
                    _add_like(place / f"{base.name}.faiss", _rows_of(there, segment), beside)
            parts.append(path)
        with new_file(place / f"{name}.faiss") as beside:
            rows = join_files(parts, beside)
        shards = tuple(shard for segment in manifest.segments for shard in segment.shards)
        joined = Segment(name, base.factory, shards, rows, notes_of([place / f"{name}.faiss"]))
        for path in made:
            remove_file(path)
        publish(folder, _with(manifest, joined))
    return True


def _with(manifest: Manifest, joined: Segment) -> Manifest:
    return replace(
        manifest,
        generation=manifest.generation + 1,
        segments=(joined,),
        settings={**manifest.settings, "factory": joined.factory},
        measured={**manifest.measured, "segment_bytes": sum(note.bytes for note in joined.files.values())},
        written=now(),
        versions=versions(),
    )


def _rows_of(there: Snapshot, segment: Segment) -> Blocks:
    mine = [shard for shard in there.manifest.shards if shard.name in segment.shards]
    alone = replace(there.manifest, shards=tuple(mine), segments=(), tombstones=None)
    return Snapshot(there.folder, alone).blocks


def _add_like(base: Path, blocks: Blocks, path: Path) -> None:
    """Write at `path` a segment over `blocks` with the trained parts of `base`."""
    import faiss

    filled = emptied(base)
    metric = "l2" if filled.metric_type == faiss.METRIC_L2 else "inner-product"
    for ids, features in blocks():
        ids, features = checked_features(features, ids, filled.d, metric)
        filled.add_with_ids(features, ids)
    write_faiss(filled, path)
