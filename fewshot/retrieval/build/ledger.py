"""The ledger of a build or add under way: which shards of items are to be embedded, and which are finished.

It lives in `work/`. A shard is named after the keys and content hashes of its items, so it is the same shard whoever
embeds it and whenever; it is finished once its note is there, which is written last. Several processes may embed
different shards at once; whoever publishes holds the lock of the index.

    work/ledger.json             what is embedded by what, and the planned shards
    work/NAME.items.parquet      row in the source, key and hash of every item of a shard
    work/NAME.npy                its vectors, without the broken ones
    work/NAME.json               the note: which items are broken, and length and hash of the two files
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.files import read_json
from fewshot.fingerprint import fingerprint
from fewshot.retrieval.store.fields import Fields, as_object
from fewshot.retrieval.store.hashes import notes_of
from fewshot.retrieval.store.manifest import FileNote
from fewshot.retrieval.store.shards import open_features
from fewshot.retrieval.store.writing import make_folder, new_file, remove_file, remove_folder, write_json

WORK, LEDGER, FORMAT, VERSION = "work", "ledger.json", "fewshot-ledger", 1


@dataclass(frozen=True)
class Planned:
    """Some items to embed at once: rows in the source, keys, and content hashes."""

    name: str
    rows: tuple[int, ...]
    keys: tuple[str, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """A shard that was embedded: its items, which of them are broken, and the vectors of the others in order."""

    planned: Planned
    broken: frozenset[int]
    vectors: np.ndarray


class Ledger:
    """The work in `index/work`, of the encoder with this fingerprint, whose vectors have `dim` values."""

    def __init__(self, index: Path, encoder: str, dim: int, shards: Sequence[str]) -> None:
        self.folder, self.encoder, self.dim, self.shards = index / WORK, encoder, dim, tuple(shards)

    @classmethod
    def open(cls, index: Path) -> Ledger | None:
        """The ledger under way in an index, or None; raises `UnreadableFile` for one that is damaged."""
        path = index / WORK / LEDGER
        if not path.is_file():
            return None
        fields = Fields(read_json(path), path)
        fields.text("format", (FORMAT,))
        fields.whole("version", 1, VERSION)
        return cls(index, fields.text("encoder"), fields.whole("dim", 1, 2**20), fields.names("shards"))

    @classmethod
    def begin(cls, index: Path, encoder: str, dim: int, restart: bool = False) -> Ledger:
        """The ledger under way, or a new one.

        What another encoder has begun is not thrown away unless `restart` says so, which throws away all that is under
        way: raises `InvalidInput`.
        """
        found = None if restart else cls.open(index)
        if found and (found.encoder, found.dim) == (encoder, dim):
            return found
        if found:
            raise InvalidInput(
                f"{found.folder} holds work under way by another backbone ({found.encoder}, {found.dim} values); give "
                "the same backbone to go on with it, or restart=True (--restart) to throw it away"
            )
        drop_work(index)
        return cls(index, encoder, dim, ())

    def plan(self, rows: Sequence[int], keys: Sequence[str], hashes: Sequence[str], size: int) -> None:
        """Note what is to be embedded: `rows` of the source, in shards of `size` items."""
        make_folder(self.folder)
        shards = []
        for at in range(0, len(rows), size):
            part = slice(at, at + size)
            mine = tuple(keys[part]), tuple(hashes[part])
            shards.append(Planned(fingerprint(list(mine)), tuple(rows[part]), *mine))
        for shard in shards:
            if (note := self.folder / f"{shard.name}.json").is_file():
                remove_file(note)  # it was finished and is damaged now
            self._write_items(shard)
        self.shards = tuple(shard.name for shard in shards)
        told = {"format": FORMAT, "version": VERSION, "encoder": self.encoder, "dim": self.dim}
        write_json(self.folder / LEDGER, {**told, "shards": list(self.shards)})

    def unfinished(self) -> list[str]:
        """The names of the planned shards that nobody has finished yet, in order."""
        return [name for name in self.shards if not (self.folder / f"{name}.json").is_file()]

    def planned(self, name: str) -> Planned:
        """The items of a shard."""
        import pyarrow
        from pyarrow import parquet

        path = self.folder / f"{name}.items.parquet"
        try:
            table = parquet.ParquetFile(path).read()
            columns = [tuple(table[column].to_pylist()) for column in ("row", "key", "hash")]
        except (pyarrow.ArrowException, OSError, KeyError) as error:
            raise UnreadableFile(f"{path} is damaged ({error}); remove it and give the command again") from None
        return Planned(name, *columns)

    def finish(self, planned: Planned, vectors: np.ndarray, broken: Sequence[int]) -> None:
        """Keep the vectors (n, dim) float32 of a shard whose items at the places `broken` cannot be read."""
        if vectors.shape != (len(planned.keys) - len(broken), self.dim):
            raise InvalidInput(f"shard {planned.name} needs vectors of its readable items, found {vectors.shape}")
        vectors_file, items_file = self.folder / f"{planned.name}.npy", self.folder / f"{planned.name}.items.parquet"
        with new_file(vectors_file) as beside, beside.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(vectors, "<f4"), allow_pickle=False)
        files = notes_of([vectors_file, items_file])
        write_json(self.folder / f"{planned.name}.json", {"broken": sorted(broken), "files": as_object(files)})

    def finished(self) -> list[Finished]:
        """All shards that are embedded and whole, planned now or in an earlier run; damaged ones are left out."""
        found = []
        for note in sorted(self.folder.glob("*.json")):
            if note.name != LEDGER and (shard := self._read(note)):
                found.append(shard)
        return found

    def _read(self, path: Path) -> Finished | None:
        name = path.stem
        try:
            note = Fields(read_json(path), path)
            files = {key: FileNote(**note.inside("files").object(key)) for key in note.object("files")}
            if notes_of(self.folder / key for key in (f"{name}.npy", f"{name}.items.parquet")) != files:
                return None
            planned, broken = self.planned(name), frozenset(note.content["broken"])
            vectors = open_features(self.folder / f"{name}.npy", len(planned.keys) - len(broken), self.dim)
        except (UnreadableFile, OSError, TypeError, KeyError):
            return None
        return Finished(planned, broken, vectors)

    def _write_items(self, shard: Planned) -> None:
        import pyarrow
        from pyarrow import parquet

        columns: dict[str, Any] = {"row": shard.rows, "key": shard.keys, "hash": shard.hashes}
        with new_file(self.folder / f"{shard.name}.items.parquet") as beside:
            parquet.write_table(pyarrow.table({name: list(values) for name, values in columns.items()}), beside)


def drop_work(index: Path) -> None:
    """Remove the work of a build or add: it is published, or wanted no more."""
    if (index / WORK).is_dir():
        remove_folder(index / WORK)
