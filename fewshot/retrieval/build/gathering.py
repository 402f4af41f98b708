"""Vectors and what is known of their items, gathered into published shards with ids of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.build.pool import Vectors
from fewshot.retrieval.build.scanning import Scan
from fewshot.retrieval.build.unit import prepared
from fewshot.retrieval.sources import Source
from fewshot.retrieval.store import Shard
from fewshot.retrieval.store.shards import OWN_COLUMNS, sidecar_schema, write_shard
from fewshot.retrieval.store.writing import make_folder

if TYPE_CHECKING:
    import pyarrow

SHARD_BYTES, BLOCK = 2**28, 8192


def shard_rows(dim: int) -> int:
    """Rows of a published shard: a quarter of a gigabyte of features."""
    return max(SHARD_BYTES // (4 * dim), 1)


def gather(
    folder: Path,
    generation: int,
    source: Source,
    found: Scan,
    vectors: Vectors,
    columns: Mapping[str, Any],
    first_id: int,
    dim: int,
    metric: str,
) -> list[Shard]:
    """Write the items of `found` as shards, with ids from `first_id` on in the order of the source."""
    make_folder(folder / "shards")
    shards, size = [], shard_rows(dim)
    for number, start in enumerate(range(0, len(found.rows), size)):
        stop = min(start + size, len(found.rows))
        rows = _sidecar(source, found, slice(start, stop), first_id + start, columns)
        keys = rows["key"].to_pylist()

        def blocks(start: int = start, stop: int = stop, keys: Sequence[str] = keys) -> Iterator[np.ndarray]:
            for at in range(start, stop, BLOCK):
                end = min(at + BLOCK, stop)
                yield prepared(vectors(slice(at, end)), metric, keys[at - start : end - start])

        shards.append(write_shard(folder / "shards", shard_name(generation, number), blocks(), rows, dim))
    return shards


def shard_name(generation: int, number: int) -> str:
    """The name of a shard of the version `generation`."""
    return f"g{generation:06d}-{number:05d}"


def chosen_columns(source: Source, names: Sequence[str] | None) -> dict[str, Any]:
    """The types of the user's columns to keep: all of the source's, or those named."""
    types = {} if source.columns is None else {field.name: field.type for field in source.columns.schema}
    if names is None:
        return types
    if lost := [name for name in names if name not in types]:
        raise InvalidInput(f"{source.name} has no column {', '.join(lost)}; it has {', '.join(types) or 'none'}")
    return {name: types[name] for name in names}


def _sidecar(source: Source, found: Scan, part: slice, first_id: int, columns: Mapping[str, Any]) -> pyarrow.Table:
    import pyarrow

    rows = found.rows[part]
    own: list[Any] = [
        pyarrow.array(range(first_id, first_id + len(rows)), pyarrow.int64()),
        pyarrow.array([source.keys[row] for row in rows], pyarrow.string()),
        pyarrow.array(found.hashes[part], pyarrow.string()),
        pyarrow.array([source.labels[row] for row in rows], pyarrow.string()),
    ]
    given = source.columns.select([name for name in columns if name in source.columns.column_names]).take(
        pyarrow.array(rows, pyarrow.int64())
    ) if source.columns is not None else None  # fmt: skip
    for name, kind in columns.items():
        if given is None or name not in given.column_names:
            own.append(pyarrow.nulls(len(rows), kind))
            continue
        try:
            own.append(given[name].cast(kind))
        except pyarrow.ArrowException as error:
            raise InvalidInput(
                f"the column {name!r} of {source.name} does not fit the index, where it is {kind}: {error}"
            ) from None
    return pyarrow.table(dict(zip([*OWN_COLUMNS, *columns], own, strict=True)), schema=sidecar_schema(columns))
