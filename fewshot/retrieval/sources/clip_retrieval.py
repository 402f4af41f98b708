"""Vectors as clip-retrieval lays them out: `.npy`, and parquet with what is known of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import MissingData, UnreadableFile
from fewshot.retrieval.sources.source import VectorSource
from fewshot.retrieval.sources.tables import read_table, split_columns
from fewshot.retrieval.sources.vectors import UNKNOWN, open_array

if TYPE_CHECKING:
    import pyarrow

KEYS = ("image_path", "key", "url")


def clip_retrieval(folder: Path, which: str = "img_emb") -> VectorSource:
    """What clip-retrieval writes: `img_emb/img_emb_0.npy` beside `metadata/metadata_0.parquet`, and so on.

    The path or url of an item is its key (else its place, as `0/17`), and its metadata are columns. What an index of
    ours has exported tells which backbone made it. Raises `UnreadableFile` where vectors and rows do not fit together.
    """
    import pyarrow

    files = sorted((folder / which).glob("*.npy"), key=_number)
    if not files:
        raise MissingData(
            f"{folder} has no vectors in {which}/; an index built by autofaiss alone keeps none that are exact"
        )
    arrays = [open_array(file) for file in files]
    if len({array.shape[1] for array in arrays}) > 1:
        raise UnreadableFile(f"{folder / which} has vectors of several lengths")
    tables = [_metadata(folder, file, len(array)) for file, array in zip(files, arrays, strict=True)]
    metadata = pyarrow.concat_tables(tables, promote_options="permissive")
    places = [f"{_number(file)}/{row}" for file, array in zip(files, arrays, strict=True) for row in range(len(array))]
    keys, labels, columns = told_by(metadata, places)
    described = {"kind": "clip-retrieval", "path": str(folder.resolve()), "which": which}
    dim = arrays[0].shape[1]
    return VectorSource(folder.name, _joined(arrays), dim, keys, labels, columns, described, _maker(tables[0]))


def told_by(metadata: pyarrow.Table, places: Sequence[str]) -> tuple[list[str], list[str | None], pyarrow.Table | None]:
    """Keys, labels and columns of items: the key is their path or url where all differ, else their place."""
    key = next((name for name in KEYS if name in metadata.column_names), None)
    if key and not metadata[key].null_count and len(metadata[key].unique()) == len(metadata):
        return [str(value) for value in metadata[key].to_pylist()], *split_columns(metadata, (key,))
    return list(places), *split_columns(metadata, ())


def _maker(table: pyarrow.Table) -> dict[str, Any]:
    """The backbone that the schema tells of, where an index of ours has written it."""
    try:
        told = json.loads((table.schema.metadata or {})[b"fewshot"])["backbone"]
        return {"fingerprint": str(told["fingerprint"]), "name": str(told["name"]), "describe": {}}
    except (KeyError, TypeError, ValueError):
        return UNKNOWN


def _metadata(folder: Path, file: Path, rows: int) -> Any:
    import pyarrow

    path = folder / "metadata" / f"metadata_{file.stem.rpartition('_')[2]}.parquet"  # both padded with zeros, or none
    if not path.is_file():
        return pyarrow.table({"place": [f"{_number(file)}/{row}" for row in range(rows)]})
    table = read_table(path)
    if len(table) != rows:
        raise UnreadableFile(f"{file} has {rows} vectors and {path} {len(table)} rows: they do not belong together")
    return table


def _number(file: Path) -> int:
    digits = file.stem.rpartition("_")[2]
    if not digits.isdecimal():
        raise UnreadableFile(f"{file} should end with a number, as clip-retrieval names its files")
    return int(digits)


def _joined(arrays: Sequence[np.ndarray]) -> Any:
    starts = np.cumsum([0, *map(len, arrays)])

    def take(start: int, stop: int) -> np.ndarray:
        parts = [
            array[max(start - first, 0) : max(stop - first, 0)]
            for first, array in zip(starts.tolist(), arrays, strict=False)
            if first < stop and first + len(array) > start
        ]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])

    return take
