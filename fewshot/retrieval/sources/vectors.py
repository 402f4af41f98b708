"""Vectors made before: an embedding table, or an array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot.errors import InvalidInput, MissingData, UnreadableFile
from fewshot.retrieval.sources.source import VectorSource

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable

UNKNOWN = {"fingerprint": "", "name": "", "describe": {}}


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
