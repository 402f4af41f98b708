"""To an embedding table, as `fewshot embed` makes them: one file of vectors, for learners and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint
from fewshot.retrieval.exports.leaving import Exported, Leaving

UNLABELLED = "unlabelled"


def write(leaving: Leaving, target: str, name: str, replace: bool, ann: bool, progress: bool) -> Exported:
    """Save an `EmbeddingTable` at `target`; all vectors are in memory meanwhile.

    Keys are its ids, labels its classes (items without one are of the class "unlabelled"), other columns its groups.
    """
    folder = Path(target)
    if folder.exists() and not (replace and _replaceable(folder)):
        raise InvalidInput(f"{target} exists already; give a new folder, or replace=True (--replace) for a table")
    table = table_of(leaving)
    table.save(folder)
    manifest = leaving.manifest
    search = f'fewshot.EmbeddingTable.load("{target}")'
    return Exported("table", target, folder.name, len(table), manifest.dim, manifest.metric, search)


def table_of(leaving: Leaving) -> Any:
    """The items as an `EmbeddingTable` in memory: features (N, D) float32, keys as ids, and columns as groups."""
    import pyarrow
    import torch

    from fewshot.datasets import Grouping
    from fewshot.embeddings import EmbeddingTable

    features = np.empty((leaving.count, leaving.manifest.dim), np.float32)
    blocks, at = [], 0
    for vectors, rows in leaving.blocks():
        features[at : at + len(vectors)] = vectors
        blocks.append(rows)
        at += len(vectors)
    rows = pyarrow.concat_tables(blocks)
    labels = Grouping.of(_texts(rows["label"], UNLABELLED))
    told = leaving.manifest.backbone
    describe = told.get("describe") or {"name": told["name"]}
    source = str(leaving.manifest.source.get("path") or leaving.manifest.source.get("name") or "an index")
    return EmbeddingTable(
        torch.from_numpy(features),
        labels.codes,
        labels.names,
        tuple(rows["key"].to_pylist()),
        {column: Grouping.of(_texts(rows[column], "")) for column in leaving.names},
        str(told["fingerprint"]),
        fingerprint(rows["key"].to_pylist(), rows["hash"].to_pylist()),
        {"backbone": describe, "dataset": {"name": Path(source).name}, "index": leaving.told()},
    )


def _texts(column: Any, missing: str) -> list[str]:
    return [missing if value is None else str(value) for value in column.to_pylist()]


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (folder / "table.json").is_file()
