"""From what a person points at to a `Source`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput, MissingData
from fewshot.retrieval.sources.source import Source

TABLES = (".parquet", ".csv", ".tsv")


def open_source(given: Any, texts: str | None = None, paths: str | None = None) -> Source:
    """The items of `given`.

    A path: a folder or zip of pictures, tar shards (one file or a folder of them), a parquet, CSV or TSV (`texts` or
    `paths` name its column), a saved embedding table, a `.npy`, a folder in clip-retrieval's layout, a FAISS file
    (`.index`, `.faiss`) that holds its vectors whole. Otherwise the name of a data set, a `Dataset`, an
    `EmbeddingTable`, or an array (N, D). Raises `MissingData` for what is not there.
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, np.ndarray):
        from fewshot.retrieval.sources.vectors import vectors_of_array

        return vectors_of_array(given)
    if isinstance(given, str | Path):
        return _of_path(Path(given), texts, paths) if Path(given).exists() else _named(str(given))
    from fewshot.datasets import Dataset
    from fewshot.embeddings import EmbeddingTable

    if isinstance(given, EmbeddingTable):
        from fewshot.retrieval.sources.vectors import vectors_of_table

        return vectors_of_table(given)
    if isinstance(given, Dataset):
        from fewshot.retrieval.sources.pictures import pictures_of

        return pictures_of(given)
    raise InvalidInput(
        f"an index is built from a path, a data set, an embedding table or an array (N, D), not {type(given).__name__}"
    )


def reopen_source(described: Mapping[str, Any]) -> Source | None:
    """The source that describes itself so, as it is now; None where it cannot be found again."""
    kind, path = described.get("kind"), described.get("path")
    try:
        if kind == "dataset":
            from fewshot.datasets import load_dataset
            from fewshot.retrieval.sources.pictures import pictures_of

            return pictures_of(load_dataset(str(described.get("name")), split=str(described.get("split"))))
        if not isinstance(path, str) or not Path(path).exists():
            return None
        column = described.get("column")
        return open_source(path, **({str(kind): str(column)} if kind in ("texts", "paths") else {}))
    except Exception:
        return None


def _named(name: str) -> Source:
    from fewshot.datasets import list_datasets, load_dataset
    from fewshot.retrieval.sources.pictures import pictures_of

    if name not in list_datasets():
        raise MissingData(
            f"{name} does not exist, nor is it a data set; give a folder or zip of pictures, tar shards, a table of "
            "paths or texts, an embedding table, or a name of `fewshot datasets list`"
        )
    return pictures_of(load_dataset(name))


def _of_path(path: Path, texts: str | None, paths: str | None) -> Source:
    from fewshot.retrieval.sources import clip_retrieval, faiss_files, pictures, tables, tars, vectors

    ending = path.suffix.lower()
    if texts and ending not in TABLES:
        raise InvalidInput(f"texts come from a column of a {', '.join(TABLES)}, and {path} is none")
    if path.is_dir():
        if (path / "table.json").is_file():
            from fewshot.embeddings import EmbeddingTable

            return vectors.vectors_of_table(EmbeddingTable.load(path), path)
        if (path / "img_emb").is_dir() or (path / "text_emb").is_dir():
            return clip_retrieval.clip_retrieval(path, "img_emb" if (path / "img_emb").is_dir() else "text_emb")
        if alone := faiss_files.faiss_file_in(path):
            return faiss_files.faiss_vectors(alone)
        shards = sorted(path.glob("*.tar"))
        return tars.tar_shards(path, shards) if shards else pictures.pictures_below(path)
    if ending in TABLES:
        return tables.texts_table(path, texts) if texts else tables.paths_table(path, paths)
    if ending == ".tar":
        return tars.tar_shards(path, [path])
    if ending == ".npy":
        return vectors.vectors_of_array(vectors.open_array(path), path)
    if ending in faiss_files.ENDINGS:
        return faiss_files.faiss_vectors(path)
    if ending == ".zip":
        return pictures.pictures_below(path)
    raise InvalidInput(
        f"{path} is nothing an index can be built from: give a folder, .zip, .tar, .parquet, .csv, .tsv, .npy or .index"
    )
