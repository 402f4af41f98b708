"""Add: only what is new or has changed is embedded, and what it costs goes with its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.retrieval.build.encoder import Encoder, encoder_for
from fewshot.retrieval.build.gathering import chosen_columns, gather
from fewshot.retrieval.build.ledger import drop_work
from fewshot.retrieval.build.plan import disk_free, disk_needed, make_choice, size
from fewshot.retrieval.build.publishing import nothing_left, now, publish, sweep, versions
from fewshot.retrieval.build.scanning import known_items, needs_work, scan
from fewshot.retrieval.build.segments import segment_name, write_segment
from fewshot.retrieval.build.work import SHARD_ROWS, embedded
from fewshot.retrieval.sources import Source, open_source
from fewshot.retrieval.store import Manifest, Segment, Snapshot, open_version, writing_lock
from fewshot.retrieval.store.tombstones import write_tombstones


@dataclass(frozen=True)
class Added:
    """How many items were `added`, how many of these in place of an older one (`changed`), how many were `unchanged`,
    and the keys of the `broken` ones that were left out.
    """

    added: int
    changed: int
    unchanged: int
    broken: tuple[str, ...]


def add(
    folder: Path,
    given: Any,
    backbone: Any = None,
    columns: Sequence[str] | None = None,
    texts: str | None = None,
    paths: str | None = None,
    skip_broken: bool = False,
    batch_size: int = 64,
    workers: Any = "auto",
    shard_rows: int = SHARD_ROWS,
    replace: bool = False,
    restart: bool = False,
    wait: float = 0.0,
    progress: bool = True,
) -> Added:
    """Add the items of a source to the index in `folder`; an item whose content has changed gets a new id.

    Keys tell items of the same source apart. Where another source uses a key that the index has for something else,
    this raises `InvalidInput`, unless `replace` says that the new item takes its place. Raises `FingerprintMismatch`
    for another backbone than the index has.
    """
    source = open_source(given, texts, paths)
    with writing_lock(folder, wait), nothing_left(folder):
        now_there = open_version(folder)
        manifest = now_there.manifest
        encoder = encoder_for(source, backbone, batch_size, workers)
        _check_same(manifest, encoder)
        types = _column_types(now_there, source, columns)
        sweep(folder, manifest)
        found = scan(source, known_items(now_there), progress)
        if found.replaced and not replace:
            _check_same_source(now_there, source, found.replaced)
        _check_disk(folder, manifest, len(found.rows), needs_work(source))
        items = embedded(folder, source, encoder, found, skip_broken, shard_rows, restart, progress)
        if items.found.rows or items.found.replaced:
            generation = manifest.generation + 1
            shards = gather(folder, generation, source, items.found, items.vectors, types, manifest.next_id,
                            manifest.dim, manifest.metric)  # fmt: skip
            dead = np.union1d(now_there.dead, np.array(found.replaced, np.int64))
            new = with_changes(
                manifest,
                generation=generation,
                next_id=manifest.next_id + len(items.found.rows),
                shards=(*manifest.shards, *shards),
                columns={name: str(kind) for name, kind in types.items()},
                source=_sources(manifest, source),
                written=now(),
                versions=versions(),
            )
            if shards:
                own = with_changes(new, shards=tuple(shards))
                new = with_changes(new, segments=(*manifest.segments, _segment(folder, own, manifest)))
            if found.replaced:
                new = with_changes(new, tombstones=write_tombstones(folder, segment_name(generation), dead))
            publish(folder, new)
        drop_work(folder)
    added = len(items.found.rows)
    return Added(added, min(len(found.replaced), added), found.unchanged, items.broken)


def _segment(folder: Path, own: Manifest, manifest: Manifest) -> Segment:
    """One segment over the new shards: exact where they are few, else like the largest there is."""
    settings = manifest.settings
    recall, k = float(settings.get("recall_target", 0.95)), int(settings.get("k", 10))
    choice, _ = make_choice("auto", own.rows, own.dim, own.metric, None, recall, k)
    base = max(manifest.segments, key=lambda segment: segment.rows, default=None)
    if base is None or choice.factory == "Flat" or base.factory == "Flat":
        return write_segment(folder, own, choice.factory, segment_name(own.generation))
    return write_segment(folder, own, base.factory, segment_name(own.generation), like=base)


def _check_same(manifest: Manifest, encoder: Encoder) -> None:
    mine = str(manifest.backbone["fingerprint"])
    if encoder.fingerprint != mine:
        names = [f"{told.get('name') or 'an unknown backbone'} ({told['fingerprint'] or 'no fingerprint'})"
                 for told in (manifest.backbone, encoder.told)]  # fmt: skip
        raise FingerprintMismatch(
            f"the index was made by {names[0]}, and this would add vectors of {names[1]}; vectors of different "
            "backbones, weights or preprocessing do not mix: give the backbone of the index"
        )
    if encoder.dim != manifest.dim:
        raise InvalidInput(f"the index has vectors of {manifest.dim} values, and these have {encoder.dim}")


def _check_same_source(there: Snapshot, source: Source, replaced: Sequence[int]) -> None:
    """Keys that are there with other content are changed items of a source known by its path or name, else clashes."""
    told = there.manifest.source
    if ("path" in source.described or "name" in source.described) and source.described in _known_sources(told):
        return
    keys = there.keys(there.positions(replaced[:3]))
    raise InvalidInput(
        f"{len(replaced)} keys of {source.name} are in the index for other items ({', '.join(keys)}"
        f"{', ...' if len(replaced) > 3 else ''}), and it was not made from there: rename them, or pass replace=True "
        "(--replace) to put the new items in their place"
    )


def _known_sources(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    first = {name: value for name, value in told.items() if name != "added"}
    return [first, *told.get("added", [])]


def _sources(manifest: Manifest, source: Source) -> dict[str, Any]:
    """What the manifest says of the sources: the first, and in `added` the others."""
    first, *others = _known_sources(manifest.source)
    if source.described not in (first, *others):
        others.append(source.described)
    return {**first, "added": others} if others else first


def _column_types(there: Snapshot, source: Source, columns: Sequence[str] | None) -> Mapping[str, Any]:
    given = chosen_columns(source, columns)
    if not there.manifest.shards:
        return given
    if lost := [name for name in given if name not in there.manifest.columns]:
        raise InvalidInput(
            f"{source.name} has the column {lost[0]!r}, which the index has not; it has "
            f"{', '.join(there.manifest.columns) or 'none'}: name the columns to keep by columns=[...] (--columns)"
        )
    return {name: there.column(name).type for name in there.manifest.columns}


def _check_disk(folder: Path, manifest: Manifest, count: int, work: bool) -> None:
    choice, _ = make_choice("Flat", max(count, 1), manifest.dim, manifest.metric, None, 1.0, 1)
    needed, free = disk_needed(count, manifest.dim, choice, work), disk_free(folder)
    if needed > free:
        raise InvalidInput(f"{folder} needs about {size(needed)} more on disk, and {size(free)} are free")
