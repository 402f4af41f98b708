"""To LanceDB: a table with `id`, `vector`, `key`, `hash`, `label` and the user's columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from fewshot.errors import FewshotError, InvalidInput, MissingPackage, UnwritableFile
from fewshot.progress import progress_bar
from fewshot.retrieval.exports.leaving import Exported, Leaving, renamed

METRICS = {"cosine": "cosine", "inner-product": "dot", "l2": "l2"}


def write(leaving: Leaving, target: str, name: str, replace: bool, ann: bool, progress: bool) -> Exported:
    """Make the table `name` in the database `target`, a folder or a URI, a block of items at a time.

    replace: a table of that name goes; ann: make an approximate index over its vectors. Raises `MissingPackage` without
    lancedb, `InvalidInput` where the table is there already, and `UnwritableFile` where LanceDB cannot write.
    """
    try:
        import lancedb
    except ModuleNotFoundError:
        raise MissingPackage("lancedb", "export to LanceDB", "lancedb") from None
    import pyarrow

    manifest, metric = leaving.manifest, METRICS[leaving.manifest.metric]
    columns = renamed(leaving.names, ("vector", "_distance"))
    told = {b"fewshot": json.dumps(leaving.told()).encode()}
    fields = [field.with_name(columns.get(field.name, field.name)) for field in leaving.schema]
    fields.insert(1, pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), manifest.dim)))
    schema = pyarrow.schema(fields, metadata=told)

    def batches() -> Iterator[Any]:
        with progress_bar(f"to {target}", leaving.count, show=progress) as advance:
            for vectors, rows in leaving.blocks():
                flat = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1), pyarrow.float32())
                arrays = [rows[number].combine_chunks() for number in range(rows.num_columns)]
                arrays.insert(1, pyarrow.FixedSizeListArray.from_arrays(flat, manifest.dim))
                yield pyarrow.record_batch(arrays, schema=schema)
                advance(len(rows))

    begun = False
    try:
        database: Any = lancedb.connect(target)
        there = name in database.list_tables().tables
        if there and not replace:
            raise InvalidInput(
                f"{target} has a table {name!r} already; give another name (--name) or replace=True (--replace)"
            )
        reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
        begun = not there
        table = database.create_table(name, reader, mode="overwrite" if replace else "create")
        if ann:
            table.create_index(metric=metric, index_type="IVF_HNSW_SQ", vector_column_name="vector")
    except BaseException as error:
        if begun:  # what could not be finished is not left as a table with too few rows
            with suppress(Exception):
                database.drop_table(name)
        if isinstance(error, FewshotError) or not isinstance(error, Exception):
            raise
        raise UnwritableFile(target, _first_line(error)) from None
    search = f'table.search(vector).distance_type("{metric}").limit(10)'
    return Exported("lancedb", target, name, leaving.count, manifest.dim, manifest.metric, search)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(", /")[0]
