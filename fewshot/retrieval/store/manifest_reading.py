"""Reading `manifest.json` field by field: names without folders, hashes, ranges, and that its parts fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot.errors import MissingData, UnreadableFile
from fewshot.files import read_json
from fewshot.retrieval.store.fields import Fields
from fewshot.retrieval.store.manifest import (
    FORMAT,
    MANIFEST,
    METRICS,
    MOST_ROWS,
    VERSION,
    FileNote,
    Manifest,
    Segment,
    Shard,
    Tombstones,
    content_hash,
)


def read_manifest(folder: Path) -> Manifest:
    """The version of the index that holds now.

    Raises `MissingData` where `folder` is no index, `UnreadableFile` for a manifest that is damaged, of a later version
    or of another kind.
    """
    path = folder / MANIFEST
    if not path.is_file():
        begun = (folder / "work").is_dir()
        raise MissingData(
            f"{folder} is no index yet: its build was not finished; give the same `fewshot index build` again"
            if begun
            else f"{folder} is not an index: it has no {MANIFEST}"
        )
    return parse_manifest(read_json(path), path)


def parse_manifest(content: Any, path: Path) -> Manifest:
    """`content` of `path` as a manifest, checked field by field."""
    fields = Fields(content, path)
    if content.get("format") != FORMAT:
        raise UnreadableFile(f"{path} is not the manifest of an index: its format is {content.get('format')!r}")
    if (version := fields.whole("version", 1)) > VERSION:
        raise UnreadableFile(f"{path} is of version {version}, this fewshot reads up to {VERSION}: upgrade it")
    if fields.digest("sha256") != content_hash(content):
        raise UnreadableFile(f"{path} is damaged: its content is not what was written")
    next_id = fields.whole("next_id")
    shards = tuple(_shard(each, next_id) for each in fields.each("shards"))
    segments = tuple(_segment(each) for each in fields.each("segments"))
    dead = None if content.get("tombstones") is None else _tombstones(fields.inside("tombstones"))
    manifest = Manifest(
        generation=fields.whole("generation", 1),
        dim=fields.whole("dim", 1, 2**20),
        metric=fields.text("metric", METRICS),
        next_id=next_id,
        backbone=_backbone(fields.inside("backbone")),
        source=fields.object("source"),
        settings=fields.object("settings"),
        measured=fields.object("measured"),
        shards=shards,
        segments=segments,
        tombstones=dead,
        columns=fields.texts("columns"),
        created=fields.text("created"),
        written=fields.text("written"),
        versions=fields.texts("versions"),
    )
    _fit_together(manifest, fields)
    return manifest


def _shard(fields: Fields, next_id: int) -> Shard:
    name, rows, first = fields.name("name"), fields.whole("rows", 1, MOST_ROWS), fields.whole("first_id")
    last = fields.whole("last_id", first + rows - 1, next_id - 1)
    return Shard(name, rows, first, last, _files(fields, {f"{name}.npy", f"{name}.parquet"}))


def _segment(fields: Fields) -> Segment:
    name = fields.name("name")
    files = _files(fields, {f"{name}.faiss"})
    return Segment(name, fields.text("factory"), fields.names("shards"), fields.whole("rows", 1, MOST_ROWS), files)


def _tombstones(fields: Fields) -> Tombstones:
    name = fields.name("name")
    return Tombstones(name, fields.whole("rows", 1, MOST_ROWS), _files(fields, {f"{name}.npy"}))


def _backbone(fields: Fields) -> dict[str, Any]:
    fields.text("fingerprint"), fields.text("name")
    return fields.content


def _files(fields: Fields, needed: set[str]) -> dict[str, FileNote]:
    inside = fields.inside("files")
    if set(inside.content) != needed:
        raise fields.wrong("files", f"notes of {', '.join(sorted(needed))}", sorted(inside.content))
    notes = {name: inside.inside(name) for name in inside.content}
    return {name: FileNote(note.whole("bytes"), note.digest("sha256")) for name, note in notes.items()}


def _fit_together(manifest: Manifest, fields: Fields) -> None:
    """Shards, segments and tombstones tell of the same rows; every id lies in one place."""
    if fields.whole("rows", 0, MOST_ROWS) != manifest.rows:
        raise fields.wrong("rows", f"{manifest.rows}, the rows of the shards", fields.content["rows"])
    rows = {shard.name: shard.rows for shard in manifest.shards}
    searched = [name for segment in manifest.segments for name in segment.shards]
    if sorted(searched) != sorted(rows) or len(rows) != len(manifest.shards):
        raise fields.wrong("segments", "over every shard once", ", ".join(searched))
    for segment in manifest.segments:
        if segment.rows != sum(rows[name] for name in segment.shards):
            raise fields.wrong(f"segments.{segment.name}.rows", "the rows of its shards", segment.rows)
    if len({segment.name for segment in manifest.segments}) != len(manifest.segments):
        raise fields.wrong("segments", "of different names", [segment.name for segment in manifest.segments])
    after = -1
    for shard in manifest.shards:
        if shard.first_id <= after:
            raise fields.wrong(f"shards.{shard.name}.first_id", f"above {after}", shard.first_id)
        after = shard.last_id
    if manifest.tombstones and manifest.tombstones.rows > manifest.rows:
        raise fields.wrong("tombstones.rows", f"{manifest.rows} or fewer", manifest.tombstones.rows)
