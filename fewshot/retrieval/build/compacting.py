"""Compact: shards and one segment without the dead, at the recall that was asked for. Ids stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.build.building import indexed
from fewshot.retrieval.build.gathering import BLOCK, shard_name, shard_rows
from fewshot.retrieval.build.plan import disk_free, disk_needed, make_choice, size
from fewshot.retrieval.build.publishing import nothing_left, now, publish, sweep, versions
from fewshot.retrieval.build.wish import Wish
from fewshot.retrieval.store import Manifest, Shard, Snapshot, open_version, read_manifest, writing_lock
from fewshot.retrieval.store.shards import sidecar_schema, write_shard


def compact(folder: Path, wait: float = 0.0) -> bool:
    """Rewrite the index without what is deleted, in one segment; False where there was nothing to do."""
    read_manifest(folder)  # no lock is made where there is no index
    with writing_lock(folder, wait), nothing_left(folder):
        there = open_version(folder)
        manifest = there.manifest
        sweep(folder, manifest)
        if not len(there.dead) and len(manifest.segments) <= 1:
            return False
        wish = _wish(manifest)
        count = max(len(there), 1)
        choice, _ = make_choice(wish.index, count, manifest.dim, wish.metric, wish.memory, wish.recall, wish.k)
        needed, free = disk_needed(len(there), manifest.dim, choice, work=False), disk_free(folder)
        if needed > free:
            raise InvalidInput(f"compacting {folder} needs about {size(needed)} on disk, and {size(free)} are free")
        new = replace(
            manifest,
            generation=manifest.generation + 1,
            shards=tuple(_living_shards(folder, there)),
            segments=(),
            tombstones=None,
            settings={**manifest.settings, "factory": choice.factory, "why": choice.why, "search": {}},
            measured={},
            written=now(),
            versions=versions(),
        )
        publish(folder, indexed(folder, new, wish) if new.shards else new)
    return True


def _living_shards(folder: Path, there: Snapshot) -> list[Shard]:
    """All rows that are not deleted, in new shards, in the order of their ids."""
    alive, dim = np.flatnonzero(there.alive), there.manifest.dim
    types = {name: there.column(name).type for name in there.manifest.columns} if len(alive) else {}
    shards, size = [], shard_rows(dim)
    for number, start in enumerate(range(0, len(alive), size)):
        mine = alive[start : start + size]
        rows = there.table().take(mine).cast(sidecar_schema(types))
        name = shard_name(there.manifest.generation + 1, number)
        shards.append(write_shard(folder / "shards", name, _blocks(there, mine), rows, dim))
    return shards


def _blocks(there: Snapshot, rows: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, len(rows), BLOCK):
        yield there.vectors(rows[at : at + BLOCK])


def _wish(manifest: Manifest) -> Wish:
    told = manifest.settings
    memory = told.get("memory")
    return Wish(
        recall=float(told.get("recall_target", 0.95)),
        k=int(told.get("k", 10)),
        index=str(told.get("asked", "auto")),
        memory=int(memory) if memory else None,
        metric=manifest.metric,
    )
