"""Vectors made before: an embedding table, an array, or `.npy` and parquet as clip-retrieval lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput, MissingData, UnreadableFile
from fewshot.retrieval.sources.source import VectorSource
from fewshot.retrieval.sources.tables import read_table, split_columns

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable

UNKNOWN = {"fingerprint": "", "name": "", "describe": {}}
KEYS = ("image_path", "key", "url")


def vectors_of_table(table: EmbeddingTable, path: Path | None = None) -> VectorSource:
    """The features of an embedding table: its ids are the keys, its class names the labels, its groups columns."""
    import pyarrow

    groups = {
        name: pyarrow.array([grouping.names[code] for code in grouping.codes.tolist()], pyarrow.string())
        for name, grouping in table.groups.items()
    }
    labels = [table.class_names[label] for label in table.labels.tolist()]
    told = table.provenance.get("backbone")
    described = told if isinstance(told, dict) else {}
    backbone = {"fingerprint": table.backbone, "name": described.get("name", ""), "describe": described}
    features = table.features
    return VectorSource(
        table.name,
        lambda start, stop: features[start:stop].detach().cpu().float().numpy(),
        table.dim,
        table.ids,
        labels,
        pyarrow.table(groups) if groups else None,
        {"kind": "table", "path": str(path.resolve())} if path else {"kind": "table"},
        backbone,
    )


def vectors_of_array(array: np.ndarray, path: Path | None = None) -> VectorSource:
    """The rows of an array (N, D) of floats; the number of a row is its key."""
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InvalidInput(f"vectors must be floats of shape (N, D), found {array.dtype} of shape {array.shape}")
    keys = [str(row) for row in range(len(array))]
    described = {"kind": "array", "path": str(path.resolve())} if path else {"kind": "array"}
    name = path.name if path else "the array"
    return VectorSource(
        name, lambda start, stop: array[start:stop], array.shape[1], keys, [None] * len(keys), None, described, UNKNOWN
    )


def open_array(path: Path) -> np.ndarray:
    """A `.npy` of floats (N, D), memory-mapped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MissingData(f"{path} does not exist") from None
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFile(f"{path} is not a readable .npy of numbers: {error}") from None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise UnreadableFile(f"{path} must hold floats of shape (N, D), found {array.dtype} of shape {array.shape}")
    return array


def clip_retrieval(folder: Path, which: str = "img_emb") -> VectorSource:
    """What clip-retrieval writes: `img_emb/img_emb_0.npy` beside `metadata/metadata_0.parquet`, and so on.

    The path or url of an item is its key (else its place, as `0/17`), and its metadata are columns. Raises
    `UnreadableFile` where vectors and rows do not fit together.
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
    key = next((name for name in KEYS if name in metadata.column_names), None)
    if key and not metadata[key].null_count and len(metadata[key].unique()) == len(metadata):
        labels, columns = split_columns(metadata, (key,))
        keys = [str(value) for value in metadata[key].to_pylist()]
    else:
        labels, columns = split_columns(metadata, ())
        keys = places
    described = {"kind": "clip-retrieval", "path": str(folder.resolve()), "which": which}
    dim = arrays[0].shape[1]
    return VectorSource(folder.name, _joined(arrays), dim, keys, labels, columns, described, UNKNOWN)


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
