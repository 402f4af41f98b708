"""What leaves an index: the items that are not deleted, block by block, and what must be told of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.store import Manifest, Snapshot, use_version

if TYPE_CHECKING:
    import pyarrow

BLOCK = 8192
OURS = ("id", "key", "hash", "label")


@dataclass(frozen=True)
class Exported:
    """`rows` items of `dim` values went to `target`, there called `name`; `search` tells how to search them there."""

    kind: str
    target: str
    name: str
    rows: int
    dim: int
    metric: str
    search: str


class Leaving:
    """The items of one version that are not deleted; only one shard's sidecar is in memory at a time.

    Its files are held open, and were checked. `names` are the user's columns, `schema` the types of all columns, ours
    first. Raises `InvalidInput` where nothing is left to go.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.manifest: Manifest = snapshot.manifest
        self.dead, self.count = snapshot.dead, len(snapshot)
        alone = replace(self.manifest, segments=(), tombstones=None)
        self._parts = [Snapshot(snapshot.folder, replace(alone, shards=(shard,))) for shard in self.manifest.shards]
        if not self.count:
            raise InvalidInput(f"{snapshot.folder} has no items: nothing can be exported")
        self.names = tuple(self.manifest.columns)
        self.schema = _schema(self._parts[0], self.names)

    @classmethod
    def of(cls, folder: Path) -> Leaving:
        """What the version that holds now has to give."""
        return use_version(folder, cls)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[np.ndarray, pyarrow.Table]]:
        """Vectors (n, dim) float32 and sidecar rows, in the order of the ids, `size` at a time; they go but once."""
        while self._parts:
            part = self._parts.pop(0)
            rows = part.table().cast(self.schema)
            keep = np.flatnonzero(~np.isin(part.ids, self.dead, assume_unique=True))
            for at in range(0, len(keep), size):
                mine = keep[at : at + size]
                yield part.vectors(mine), rows.take(mine)

    def told(self) -> dict[str, Any]:
        """Where the vectors are from, for the place they go to."""
        manifest = self.manifest
        return {
            "made_by": "fewshot",
            "backbone": {"name": manifest.backbone["name"], "fingerprint": manifest.backbone["fingerprint"]},
            "metric": manifest.metric,
            "dim": manifest.dim,
            "generation": manifest.generation,
        }


def renamed(names: tuple[str, ...], taken: tuple[str, ...]) -> dict[str, str]:
    """What the user's columns are called where `taken` names have a meaning: `source_NAME` for one of these."""
    return {name: f"source_{name}" if name.lower() in taken else name for name in names}


def _schema(part: Snapshot, names: tuple[str, ...]) -> pyarrow.Schema:
    import pyarrow

    kinds = {name: part.column(name).type for name in (*OURS, *names)}
    plain = {name: k.value_type if pyarrow.types.is_dictionary(k) else k for name, k in kinds.items()}
    return pyarrow.schema(list(plain.items()))
