"""Export: to whichever place is named, in blocks, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fewshot.errors import UnknownName
from fewshot.retrieval.exports.leaving import Exported, Leaving

KINDS = {
    "lancedb": "a LanceDB database: a folder or the URI of one",
    "pgvector": "PostgreSQL with pgvector: a URL such as postgresql://me@host/db",
    "clip-retrieval": "a new folder of .npy and parquet in clip-retrieval's layout",
    "table": "an embedding table, a new folder",
}


def export(
    folder: str | Path,
    kind: str,
    target: str | Path,
    name: str = "items",
    replace: bool = False,
    ann: bool = False,
    progress: bool = True,
) -> Exported:
    """Copy all items of the index in `folder` that are not deleted, with ids, vectors and columns, to `target`.

    `kind` is one of `KINDS`. In a database the table is called `name`; `ann` has it build its own approximate index,
    without which its search is exact. What is there already is an error, unless `replace` is set: then the new takes
    its place once it is complete. Raises `UnwritableFile` where the target cannot be reached or written.
    """
    if kind not in KINDS:
        raise UnknownName("kind of export", kind, KINDS)
    writer: Callable[..., Exported] = import_module(f"{__package__}.to_{kind.replace('-', '_')}").write
    return writer(Leaving.of(Path(folder)), str(target), name, replace, ann, progress)
