"""A shard: the features of some items as `.npy`, and what is known of each as a row of a parquet beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import UnreadableFile
from fewshot.retrieval.store.hashes import notes_of
from fewshot.retrieval.store.manifest import Shard
from fewshot.retrieval.store.writing import new_file, step

if TYPE_CHECKING:
    import pyarrow

OWN_COLUMNS = ("id", "key", "hash", "label")


def sidecar_schema(columns: Mapping[str, Any]) -> pyarrow.Schema:
    """The columns of a sidecar: our own, and the user's with their types."""
    import pyarrow

    own = [("id", pyarrow.int64()), *((name, pyarrow.string()) for name in OWN_COLUMNS[1:])]
    return pyarrow.schema([*own, *columns.items()])


def write_shard(folder: Path, name: str, features: Iterable[np.ndarray], rows: pyarrow.Table, dim: int) -> Shard:
    """Write blocks of features, together (len(rows), dim) float32, and their sidecar `rows`, by ascending id."""
    import pyarrow.parquet

    with new_file(folder / f"{name}.npy") as beside:
        _write_features(beside, features, len(rows), dim)
    with new_file(folder / f"{name}.parquet") as beside:
        pyarrow.parquet.write_table(rows, beside)
    ids = rows["id"]
    files = notes_of([folder / f"{name}.npy", folder / f"{name}.parquet"])
    return Shard(name, len(rows), ids[0].as_py(), ids[-1].as_py(), files)


def open_features(path: Path, rows: int, dim: int) -> np.ndarray:
    """The features (rows, dim) float32, memory-mapped. Raises `UnreadableFile` for anything else."""
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFile(f"{path} is damaged: {error}") from None
    if features.dtype != np.dtype("<f4") or features.shape != (rows, dim) or not features.flags.c_contiguous:
        raise UnreadableFile(
            f"{path} is damaged: it should hold float32 ({rows}, {dim}), found {features.dtype} {features.shape}"
        )
    return features


class Sidecar:
    """The rows of one shard's parquet, held open so that they can be read after the file was unlinked."""

    def __init__(self, path: Path, rows: int) -> None:
        import pyarrow
        import pyarrow.parquet

        try:
            self._file = pyarrow.parquet.ParquetFile(pyarrow.memory_map(str(path)))
        except FileNotFoundError:
            raise
        except (pyarrow.ArrowException, OSError) as error:
            raise UnreadableFile(f"{path} is damaged: {error}") from None
        schema, found = self._file.schema_arrow, self._file.metadata.num_rows
        wanted = sidecar_schema({})
        if found != rows or any(name not in schema.names or schema.field(name) != wanted.field(name)
                                for name in OWN_COLUMNS):  # fmt: skip
            raise UnreadableFile(
                f"{path} is not the sidecar of its shard: it has {found} rows of {', '.join(schema.names)}, and should "
                f"have {rows} with {', '.join(OWN_COLUMNS)}"
            )

    def read(self, columns: list[str] | None = None) -> pyarrow.Table:
        """All rows, of some columns or all."""
        return self._file.read(columns=columns)


def _write_features(path: Path, blocks: Iterable[np.ndarray], rows: int, dim: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
    written = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, "<f4").data)
            written += len(block)
            step("block written", path)
    if written != rows:
        raise ValueError(f"{path.name}: {rows} rows were to be written, {written} came")
