"""An index on disk: shards, segments, tombstones, one manifest, and one writer at a time."""

from fewshot.retrieval.store.lock import writing_lock
from fewshot.retrieval.store.manifest import Manifest, Segment, Shard, Tombstones, has_manifest, write_manifest
from fewshot.retrieval.store.manifest_reading import read_manifest
from fewshot.retrieval.store.snapshot import Snapshot, open_version, use_version

__all__ = [
    "Manifest",
    "Segment",
    "Shard",
    "Snapshot",
    "Tombstones",
    "has_manifest",
    "open_version",
    "read_manifest",
    "use_version",
    "write_manifest",
    "writing_lock",
]
