"""Rows of a parquet, CSV or TSV: paths of pictures, or texts, with whatever other columns there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.datasets.sources.files import FileImages
from fewshot.errors import InvalidInput, MissingData, UnreadableFile
from fewshot.retrieval.sources.source import PictureSource, TextSource

if TYPE_CHECKING:
    import pyarrow

PATHS = ("path", "file", "filename", "file_name", "image", "image_path", "filepath")
KEYS = ("key", "id")
LABELS = ("label", "class")


def read_table(path: Path) -> pyarrow.Table:
    """A parquet, CSV or TSV as a table. Raises `MissingData` or `UnreadableFile` with the reason."""
    import pyarrow
    from pyarrow import csv, parquet

    if not path.is_file():
        raise MissingData(f"{path} does not exist")
    try:
        if path.suffix.lower() == ".parquet":
            return parquet.ParquetFile(path).read()
        tabs = csv.ParseOptions(delimiter="\t") if path.suffix.lower() == ".tsv" else None
        return csv.read_csv(path, parse_options=tabs)
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableFile(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None


def paths_table(path: Path, column: str | None = None) -> PictureSource:
    """Pictures whose paths stand in a column: the one named, else the first called `path`, `file`, `image` or the like.

    Paths are taken from the folder of the table; the path is the key, a column `label` or `class` the label, and every
    other column goes along.
    """
    table = read_table(path)
    column = column or next((name for name in PATHS if name in table.column_names), None)
    if column is None or column not in table.column_names:
        raise InvalidInput(
            f"{path} has no column {column!r}" if column else f"{path} has no column of paths ({', '.join(PATHS[:4])}, "
            f"...); found {', '.join(table.column_names)}; for a column of texts give it by --texts"
        )  # fmt: skip
    paths = _texts(table, column, path)
    labels, rest = split_columns(table, (column,))
    described = {"kind": "paths", "path": str(path.resolve()), "column": column}
    return PictureSource(path.name, FileImages(path.parent.resolve(), paths), paths, labels, rest, described)


def texts_table(path: Path, column: str) -> TextSource:
    """Texts of a column; the key is a column `key` or `id` where all its values differ, else the number of the row."""
    table = read_table(path)
    texts = _texts(table, column, path)
    keyed = next((name for name in KEYS if name in table.column_names and name != column), None)
    keys = [str(row) for row in range(len(texts))]
    if keyed and len(table[keyed].unique()) == len(table) and not table[keyed].null_count:
        keys = [str(key) for key in table[keyed].to_pylist()]
    labels, rest = split_columns(table, ())
    described = {"kind": "texts", "path": str(path.resolve()), "column": column}
    return TextSource(path.name, texts, keys, labels, rest, described)


def split_columns(table: pyarrow.Table, taken: Sequence[str]) -> tuple[list[str | None], pyarrow.Table | None]:
    """The labels, and the columns that are neither labels nor `taken`; ours are `source_id` where theirs are `id`."""
    import pyarrow

    label = next((name for name in LABELS if name in table.column_names and name not in taken), None)
    labels: list[str | None] = [None] * len(table)
    if label is not None:
        labels = [None if value in (None, "") else str(value) for value in table[label].to_pylist()]
    own: dict[str, Any] = {}
    for name in table.column_names:
        if name in taken or name == label:
            continue
        values = table[name]
        if pyarrow.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        own[f"source_{name}" if name in ("id", "key", "hash", "label") else name] = values
    return labels, pyarrow.table(own) if own else None


def _texts(table: pyarrow.Table, column: str, path: Path) -> list[str]:
    if column not in table.column_names:
        raise InvalidInput(f"{path} has no column {column!r}; it has {', '.join(table.column_names)}")
    values = table[column].to_pylist()
    bad = [row for row, value in enumerate(values) if not isinstance(value, str) or not value]
    if bad:
        listed = ", ".join(map(str, bad[:10])) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
        raise InvalidInput(f"{path}: the column {column!r} has no text in row {listed} (from 0); fill or remove them")
    return values
