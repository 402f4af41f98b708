"""One version of an index, all its files held open: it stays what it is while writers publish others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.store.hashes import check_files
from fewshot.retrieval.store.manifest import Manifest, Shard
from fewshot.retrieval.store.manifest_reading import read_manifest
from fewshot.retrieval.store.shards import OWN_COLUMNS, Sidecar, open_features, sidecar_schema
from fewshot.retrieval.store.tombstones import read_tombstones

if TYPE_CHECKING:
    import pyarrow

T = TypeVar("T")


class Snapshot:
    """The rows of one version: features memory-mapped, sidecar columns read when they are asked for.

    `ids` (rows,) int64 ascend over all shards; `dead` are the deleted ones among them; `segments` are the paths of the
    FAISS files. Made by `open_version`, which checks lengths and hashes first.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        place = folder / "shards"
        self._features = [open_features(place / f"{s.name}.npy", s.rows, manifest.dim) for s in manifest.shards]
        self._sidecars = [Sidecar(place / f"{s.name}.parquet", s.rows) for s in manifest.shards]
        self.dead = read_tombstones(folder, manifest.tombstones)
        self.segments = [folder / "segments" / f"{segment.name}.faiss" for segment in manifest.segments]
        self._starts = np.cumsum([0, *(shard.rows for shard in manifest.shards)])
        self._columns: dict[str, Any] = {}
        self.ids = np.concatenate([np.empty(0, np.int64), *map(self._ids_of, range(len(manifest.shards)))])
        if not np.isin(self.dead, self.ids, assume_unique=True).all():
            raise UnreadableFile(f"{folder} is damaged: ids are noted as deleted that no shard has")

    def __len__(self) -> int:
        return len(self.ids) - len(self.dead)

    @property
    def alive(self) -> np.ndarray:
        """For every row (rows,) whether it is not deleted."""
        return ~np.isin(self.ids, self.dead, assume_unique=True)

    def positions(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of `ids`; raises `InvalidInput` naming those that the index has not, or has no longer."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        rows = np.searchsorted(self.ids, wanted)
        found = (rows < len(self.ids)) & (self.ids[np.minimum(rows, len(self.ids) - 1)] == wanted)
        found &= ~np.isin(wanted, self.dead)
        if not found.all():
            lost = wanted[~found]
            listed = ", ".join(map(str, lost[:10])) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
            raise InvalidInput(f"{self.folder} has no item with the id {listed} (ids of deleted items are not reused)")
        return rows

    def column(self, name: str) -> pyarrow.ChunkedArray:
        """One column of the sidecar over all rows, deleted ones too; raises `InvalidInput` for an unknown one."""
        import pyarrow

        if name not in self._columns:
            if name not in (*OWN_COLUMNS, *self.manifest.columns):
                known = ", ".join(("id", "key", "label", *self.manifest.columns))
                raise InvalidInput(f"{self.folder} has no column {name!r}; it has {known}")
            read = [sidecar.read([name])[name] for sidecar in self._sidecars]
            kind = read[0].type if read else sidecar_schema({}).field(name).type if name in OWN_COLUMNS else None
            chunks = [chunk for each in read for chunk in each.chunks]
            self._columns[name] = pyarrow.chunked_array(chunks, kind or pyarrow.null())
        return self._columns[name]

    def table(self, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """The sidecar over all rows, deleted ones too; all columns, or those named."""
        import pyarrow

        names = [*OWN_COLUMNS, *self.manifest.columns] if columns is None else list(columns)
        return pyarrow.table({name: self.column(name) for name in names})

    def keys(self, rows: np.ndarray) -> list[str]:
        """The keys of rows, as `positions` gives them."""
        return self.column("key").take(rows).to_pylist()

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The features (n, D) float32 of rows, as `positions` gives them."""
        taken = np.empty((len(rows), self.manifest.dim), np.float32)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(shard_of):
            mine = shard_of == shard
            taken[mine] = self._features[shard][rows[mine] - self._starts[shard]]
        return taken

    def blocks(self, size: int = 8192, alive: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Ids (n,) and features (n, D) of all rows in order, `size` at a time, without the deleted unless told."""
        keep = self.alive if alive and len(self.dead) else None
        for start, features in zip(self._starts, self._features, strict=False):
            for at in range(0, len(features), size):
                block = features[at : at + size]
                ids = self.ids[start + at : start + at + len(block)]
                if keep is not None:
                    mine = keep[start + at : start + at + len(block)]
                    ids, block = ids[mine], block[mine]
                if len(ids):
                    yield ids, np.asarray(block)

    def _ids_of(self, number: int) -> np.ndarray:
        shard: Shard = self.manifest.shards[number]
        if shard.last_id - shard.first_id + 1 == shard.rows:
            return np.arange(shard.first_id, shard.last_id + 1, dtype=np.int64)
        ids = self._sidecars[number].read(["id"])["id"].to_numpy()
        if (np.diff(ids) <= 0).any() or ids[0] != shard.first_id or ids[-1] != shard.last_id:
            raise UnreadableFile(
                f"{self.folder}/shards/{shard.name}.parquet is damaged: its ids should ascend from {shard.first_id} "
                f"to {shard.last_id}"
            )
        return ids


def open_version(folder: Path, verify: str = "hashes") -> Snapshot:
    """The version that holds now, with lengths and hashes checked (`verify`: "hashes" or "sizes").

    Raises `MissingData` where `folder` is no index, `UnreadableFile` naming what is damaged.
    """
    return use_version(folder, lambda found: found, verify)


def use_version(folder: Path, use: Callable[[Snapshot], T], verify: str = "hashes") -> T:
    """`use` of the version that holds now; where a writer publishes and cleans up in between, of the new one."""
    while True:
        manifest = read_manifest(folder)
        try:
            check_files(folder, manifest.files, verify)
            return use(Snapshot(folder, manifest))
        except Exception as error:
            if read_manifest(folder).generation != manifest.generation:
                continue
            if isinstance(error, FileNotFoundError):
                raise UnreadableFile(
                    f"{error.filename or error} is missing from {folder}; restore the file or build again"
                ) from None
            raise
