"""A table as a folder: `features.safetensors`, `items.parquet`, and `table.json`, which tells what they should be."""

from pathlib import Path
from typing import Any

import torch

from fewshot.datasets import Grouping
from fewshot.embeddings.table import EmbeddingTable
from fewshot.errors import UnreadableFile
from fewshot.files import read_json, whole_folder, write_json

VERSION = 1
FEATURES, ITEMS, MANIFEST = "features.safetensors", "items.parquet", "table.json"


def save_table(table: EmbeddingTable, folder: Path) -> None:
    """Write `table` to `folder`, which appears whole or keeps its old content."""
    import pyarrow.parquet
    from safetensors.torch import save_file

    with whole_folder(folder) as beside:
        save_file({"features": table.features.detach().cpu().contiguous()}, beside / FEATURES)
        pyarrow.parquet.write_table(_items(table), beside / ITEMS)
        manifest = {
            "version": VERSION,
            "items": len(table),
            "dim": table.dim,
            "backbone": table.backbone,
            "dataset": table.dataset,
            "class_names": list(table.class_names),
            "groups": {name: list(grouping.names) for name, grouping in table.groups.items()},
            "bytes": {name: (beside / name).stat().st_size for name in (FEATURES, ITEMS)},
            "provenance": dict(table.provenance),
        }
        write_json(beside / MANIFEST, manifest)


def load_table(folder: Path) -> EmbeddingTable:
    """Open `folder`; the features are memory-mapped. Raises `UnreadableFile` for anything but a whole table."""
    manifest = _manifest(folder)
    try:
        labels, ids, codes = _read_items(folder / ITEMS, manifest["groups"])
        features = _map_features(folder / FEATURES)
    except Exception as error:
        raise UnreadableFile(f"{folder} is damaged ({error}); delete it and embed again") from error
    if features.shape != (manifest["items"], manifest["dim"]) or len(ids) != manifest["items"]:
        raise UnreadableFile(
            f"{folder} is damaged: its files disagree on the number of items; delete it and embed again"
        )
    return EmbeddingTable(
        features=features,
        labels=labels,
        class_names=tuple(manifest["class_names"]),
        ids=ids,
        groups={name: Grouping(codes[name], tuple(names)) for name, names in manifest["groups"].items()},
        backbone=manifest["backbone"],
        dataset=manifest["dataset"],
        provenance=manifest["provenance"],
    )


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).is_file():
        raise UnreadableFile(f"{folder} is not an embedding table: it has no {MANIFEST}")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("version"), int):
        raise UnreadableFile(f"{folder / MANIFEST} is not the manifest of an embedding table")
    if manifest["version"] > VERSION:
        raise UnreadableFile(
            f"{folder} is of version {manifest['version']}, this fewshot reads up to {VERSION}: upgrade it"
        )
    for name, size in manifest["bytes"].items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else "no file"
        if found != size:
            raise UnreadableFile(
                f"{folder / name} should have {size} bytes, found {found}; delete the folder and embed again"
            )
    return manifest


def _items(table: EmbeddingTable) -> Any:
    import pyarrow

    columns = {"id": pyarrow.array(table.ids, pyarrow.string()), "label": table.labels.cpu().numpy()}
    columns |= {f"group:{name}": grouping.codes.numpy() for name, grouping in table.groups.items()}
    return pyarrow.table(columns)


def _read_items(path: Path, groups: dict[str, Any]) -> tuple[torch.Tensor, tuple[str, ...], dict[str, torch.Tensor]]:
    import pyarrow.parquet

    items = pyarrow.parquet.read_table(path)

    def integers(column: str) -> torch.Tensor:
        return torch.from_numpy(items[column].to_numpy().copy())

    return integers("label"), tuple(items["id"].to_pylist()), {name: integers(f"group:{name}") for name in groups}


def _map_features(path: Path) -> torch.Tensor:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.get_tensor("features")
