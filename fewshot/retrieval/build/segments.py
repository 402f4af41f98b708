"""The FAISS file over some shards, and what a search of the whole index then gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.retrieval.engine import Searcher, build_segment, tune
from fewshot.retrieval.store import Manifest, Segment, Snapshot
from fewshot.retrieval.store.hashes import notes_of
from fewshot.retrieval.store.writing import make_folder, new_file

QUERIES = 1000


def write_segment(folder: Path, manifest: Manifest, factory: str, name: str, like: Segment | None = None) -> Segment:
    """Write the segment `name` over all shards of `manifest`, trained on them or with the trained parts of `like`."""
    rows = Snapshot(folder, replace(manifest, tombstones=None, segments=()))
    make_folder(folder / "segments")
    path = folder / "segments" / f"{name}.faiss"
    trained = folder / "segments" / f"{like.name}.faiss" if like else None
    with new_file(path) as beside:
        build_segment(factory, rows.blocks, manifest.rows, manifest.dim, manifest.metric, beside, trained)
    shards = tuple(shard.name for shard in manifest.shards)
    return Segment(name, factory, shards, manifest.rows, notes_of([path]))


def segment_name(generation: int) -> str:
    """The name of the segment that the version `generation` brings."""
    return f"g{generation:06d}"


def measured(folder: Path, manifest: Manifest, recall: float, k: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Search settings that reach `recall` at `k`, and what they give, on queries held out.

    Up to a thousand items ask, and are taken for deleted while they do, so that none finds itself. Raises
    `InvalidInput`, with what would reach it, where no setting does.
    """
    rows = Snapshot(folder, manifest)
    alive = rows.ids[rows.alive]
    count = min(QUERIES, len(alive) // 5)
    k = min(k, len(alive) - count)
    if count < 2:  # half of them tune, and half prove
        return {}, {"recall": None, "k": k, "queries": 0}
    asking = np.sort(np.random.default_rng(0).choice(alive, count, replace=False))
    queries = rows.vectors(rows.positions(asking))
    hidden = np.union1d(rows.dead, asking)
    searcher = Searcher(rows.segments, manifest.dim, manifest.metric, hidden, rows.ids)
    tuned = tune(searcher, rows.blocks, queries, recall, k)
    facts: Mapping[str, Any] = {
        "recall": float(tuned.recall),
        "ci95": [float(bound) for bound in tuned.ci95],
        "k": k,
        "queries": int(tuned.queries),
        "latency_ms": float(tuned.latency_ms),
        "rows": len(alive),
    }
    return {name: float(value) for name, value in tuned.settings.items()}, dict(facts)
