"""`manifest.json`, the one authority on what an index is: replaced last and at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewshot.retrieval.store.fields import as_object
from fewshot.retrieval.store.writing import write_json

MANIFEST, FORMAT, VERSION = "manifest.json", "fewshot-index", 1
METRICS = ("cosine", "inner-product", "l2")
MOST_ROWS = 2**40


@dataclass(frozen=True)
class FileNote:
    """What a file must be: its length in bytes and its SHA-256."""

    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """As the manifest says it."""
        return {"bytes": self.bytes, "sha256": self.sha256}


@dataclass(frozen=True)
class Shard:
    """Features and sidecar of `rows` items, whose ids ascend from `first_id` to `last_id`."""

    name: str
    rows: int
    first_id: int
    last_id: int
    files: Mapping[str, FileNote]

    def to_json(self) -> dict[str, Any]:
        """As the manifest says it."""
        return {"name": self.name, "rows": self.rows, "first_id": self.first_id, "last_id": self.last_id,
                "files": as_object(self.files)}  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """A FAISS index over all rows of `shards`, which it knows by their ids."""

    name: str
    factory: str
    shards: tuple[str, ...]
    rows: int
    files: Mapping[str, FileNote]

    def to_json(self) -> dict[str, Any]:
        """As the manifest says it."""
        return {"name": self.name, "factory": self.factory, "shards": list(self.shards), "rows": self.rows,
                "files": as_object(self.files)}  # fmt: skip


@dataclass(frozen=True)
class Tombstones:
    """The ids that are deleted: `rows` of them, in one file."""

    name: str
    rows: int
    files: Mapping[str, FileNote]

    def to_json(self) -> dict[str, Any]:
        """As the manifest says it."""
        return {"name": self.name, "rows": self.rows, "files": as_object(self.files)}


@dataclass(frozen=True)
class Manifest:
    """One version of an index. `rows` counts the rows of all shards, the deleted ones too.

    `backbone` tells what made the vectors (fingerprint, name, description), `source` where the items came from,
    `settings` how they are searched, `measured` what that gives, `columns` the user's columns and their types.
    """

    generation: int
    dim: int
    metric: str
    next_id: int
    backbone: Mapping[str, Any]
    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    measured: Mapping[str, Any]
    shards: tuple[Shard, ...]
    segments: tuple[Segment, ...]
    tombstones: Tombstones | None
    columns: Mapping[str, str]
    created: str
    written: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all shards, deleted ones too."""
        return sum(shard.rows for shard in self.shards)

    @property
    def live(self) -> int:
        """Rows that are not deleted."""
        return self.rows - (self.tombstones.rows if self.tombstones else 0)

    @property
    def files(self) -> dict[str, FileNote]:
        """Every file that belongs to this version, by its path in the index."""
        found = {f"shards/{name}": note for shard in self.shards for name, note in shard.files.items()}
        found |= {f"segments/{name}": note for segment in self.segments for name, note in segment.files.items()}
        if self.tombstones:
            found |= {f"tombstones/{name}": note for name, note in self.tombstones.files.items()}
        return found

    def to_json(self) -> dict[str, Any]:
        """The content of `manifest.json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "generation": self.generation,
            "dim": self.dim,
            "metric": self.metric,
            "next_id": self.next_id,
            "rows": self.rows,
            "backbone": dict(self.backbone),
            "source": dict(self.source),
            "settings": dict(self.settings),
            "measured": dict(self.measured),
            "shards": [shard.to_json() for shard in self.shards],
            "segments": [segment.to_json() for segment in self.segments],
            "tombstones": self.tombstones.to_json() if self.tombstones else None,
            "columns": dict(self.columns),
            "created": self.created,
            "written": self.written,
            "versions": dict(self.versions),
        }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Publish `manifest`: from now on the index is what it says."""
    content = manifest.to_json()
    write_json(folder / MANIFEST, {**content, "sha256": content_hash(content)})


def content_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of all that a manifest says but its own `sha256`, however it is laid out."""
    said = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def has_manifest(folder: Path) -> bool:
    """Whether an index was published in `folder`."""
    return (folder / MANIFEST).is_file()
