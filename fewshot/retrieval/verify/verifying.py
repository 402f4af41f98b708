"""The checks, one after another; what one finds damaged, those that stand on it do not look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import FewshotError
from fewshot.retrieval.store import Manifest, Snapshot, read_manifest
from fewshot.retrieval.store.hashes import note_of
from fewshot.retrieval.verify.report import Check, Report
from fewshot.retrieval.verify.sample import check_found, check_items

UNIT_TOLERANCE = 1e-3


class Wrong(Exception):
    """A check found something; the message tells what."""


def verify(folder: Path, sample: int = 8, source: Any = None, backbone: Any = None) -> Report:
    """Check hashes, rows, ids, vectors, and `sample` items against the source they came from, where it is still there.

    What is damaged is told in the report, never raised. Where a writer publishes in between, the new version is
    verified. Raises `MissingData` where `folder` is no index.
    """
    while True:
        report = _verify(folder, sample, source, backbone)
        if report.version is None or report.version == read_manifest(folder).generation:
            return report


def _verify(folder: Path, sample: int, source: Any, backbone: Any) -> Report:
    try:
        manifest = read_manifest(folder)
    except FewshotError as error:
        if not (folder / "manifest.json").is_file():
            raise
        return Report(str(folder), None, (Check("manifest", False, str(error)),))
    checks = [Check("manifest", True, f"version {manifest.generation}, {manifest.live:,} items")]
    _check(checks, "files", lambda: _files(folder, manifest))
    opened: list[Snapshot] = []
    if checks[-1].ok:
        _check(checks, "rows", lambda: _rows(folder, manifest, opened))
    if opened and checks[-1].ok:
        snapshot = opened[0]
        _check(checks, "vectors", lambda: _vectors(snapshot))
        _check(checks, "segments", lambda: _segments(snapshot))
        _check(checks, "keys", lambda: _keys(snapshot))
        if all(check.ok for check in checks):
            checks.append(check_found(snapshot, sample))
            checks.append(check_items(snapshot, sample, source, backbone))
    return Report(str(folder), manifest.generation, tuple(checks))


def _check(checks: list[Check], name: str, look: Callable[[], str]) -> None:
    try:
        checks.append(Check(name, True, look()))
    except (FewshotError, OSError, Wrong) as error:
        checks.append(Check(name, False, str(error)))


def _files(folder: Path, manifest: Manifest) -> str:
    bad = []
    for name, note in manifest.files.items():
        if not (folder / name).is_file():
            bad.append(f"{name} is missing")
        elif (found := note_of(folder / name)) != note:
            bad.append(f"{name} has other content" if found.bytes == note.bytes else f"{name} has {found.bytes} bytes")
    if bad:
        raise Wrong(f"{', '.join(bad)}; restore them or build again")
    return f"{len(manifest.files)} files of {sum(note.bytes for note in manifest.files.values()):,} bytes, hashes right"


def _rows(folder: Path, manifest: Manifest, opened: list[Snapshot]) -> str:
    snapshot = Snapshot(folder, manifest)
    if len(snapshot) != manifest.rows - len(snapshot.dead):
        raise Wrong(f"{manifest.rows} rows less {len(snapshot.dead)} deleted are not {len(snapshot)}")
    listed = snapshot.column("id").to_numpy() if manifest.shards else snapshot.ids
    if not np.array_equal(listed, snapshot.ids) or (np.diff(listed) <= 0).any():
        raise Wrong("ids are not unique and ascending")
    opened.append(snapshot)
    return f"{len(snapshot):,} = {manifest.rows:,} rows − {len(snapshot.dead):,} deleted; ids unique"


def _vectors(snapshot: Snapshot) -> str:
    for ids, features in snapshot.blocks(alive=False):
        lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
        if not np.isfinite(lengths).all():
            raise Wrong(f"the vector of id {ids[~np.isfinite(lengths)][0]} holds NaN or infinite values")
        if snapshot.manifest.metric == "cosine" and (abs(lengths - 1) > UNIT_TOLERANCE).any():
            raise Wrong(f"the vector of id {ids[abs(lengths - 1) > UNIT_TOLERANCE][0]} is not of unit length")
    return "finite, of unit length" if snapshot.manifest.metric == "cosine" else "finite"


def _segments(snapshot: Snapshot) -> str:
    from fewshot.retrieval.engine import segment_ids

    ids_of, start = {}, 0
    for shard in snapshot.manifest.shards:
        ids_of[shard.name] = snapshot.ids[start : start + shard.rows]
        start += shard.rows
    for segment, path in zip(snapshot.manifest.segments, snapshot.segments, strict=True):
        held, wanted = segment_ids(path), np.concatenate([ids_of[name] for name in segment.shards])
        if len(held) != len(wanted):
            raise Wrong(f"{path.name} holds {len(held)} vectors, and its shards {len(wanted)}")
        if not np.array_equal(np.sort(held), np.sort(wanted)):
            raise Wrong(f"{path.name} holds other ids than its shards")
    return f"{len(snapshot.manifest.segments)} segments hold the ids of their shards"


def _keys(snapshot: Snapshot) -> str:
    if not snapshot.manifest.shards:
        return "none"
    keys = snapshot.column("key").filter(snapshot.alive)
    if len(keys.unique()) < len(keys):
        raise Wrong("a key occurs twice among the items that are not deleted")
    return "each once"
