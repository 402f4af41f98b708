"""Add: only what is new or has changed is embedded, and what it costs goes with its number."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.build.admitting import check_backbone, check_keys, column_types, with_source
from fewshot.retrieval.build.encoder import encoder_for
from fewshot.retrieval.build.gathering import gather
from fewshot.retrieval.build.intake import Intake
from fewshot.retrieval.build.ledger import drop_work
from fewshot.retrieval.build.plan import disk_free, disk_needed, make_choice, size
from fewshot.retrieval.build.publishing import nothing_left, now, publish, sweep, versions
from fewshot.retrieval.build.scanning import known_items, needs_work, scan
from fewshot.retrieval.build.segments import segment_name, write_segment
from fewshot.retrieval.build.work import embedded
from fewshot.retrieval.sources import open_source
from fewshot.retrieval.store import Manifest, Segment, open_version, read_manifest, writing_lock
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
    replace: bool = False,
    **how: Any,
) -> Added:
    """Add the items of a source to the index in `folder`; an item whose content has changed gets a new id.

    Keys tell items of the same source apart. Where another source uses a key that the index has for something else,
    this raises `InvalidInput`, unless `replace` says that the new item takes its place. Raises `FingerprintMismatch`
    for another backbone than the index has.
    `how`: the fields of `Intake`.
    """
    intake = Intake.of(how)
    read_manifest(folder)  # no lock is made where there is no index
    source = open_source(given, intake.texts, intake.paths)
    with writing_lock(folder, intake.wait), nothing_left(folder):
        now_there = open_version(folder)
        manifest = now_there.manifest
        encoder = encoder_for(source, backbone, intake.batch_size, intake.workers)
        check_backbone(manifest, encoder)
        types = column_types(now_there, source, intake.columns)
        sweep(folder, manifest)
        found = scan(source, known_items(now_there), intake.progress)
        if found.replaced and not replace:
            check_keys(now_there, source, found.replaced)
        _check_disk(folder, manifest, len(found.rows), needs_work(source))
        items = embedded(folder, source, encoder, found, intake)
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
                source=with_source(manifest, source),
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


def _check_disk(folder: Path, manifest: Manifest, count: int, work: bool) -> None:
    choice, _ = make_choice("Flat", max(count, 1), manifest.dim, manifest.metric, None, 1.0, 1)
    needed, free = disk_needed(count, manifest.dim, choice, work), disk_free(folder)
    if needed > free:
        raise InvalidInput(f"{folder} needs about {size(needed)} more on disk, and {size(free)} are free")
