"""To clip-retrieval's layout: `img_emb/img_emb_0.npy` beside `metadata/metadata_0.parquet`, and so on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.files import whole_file, whole_folder
from fewshot.progress import progress_bar
from fewshot.retrieval.exports.leaving import Exported, Leaving, renamed

PART = 2**19  # items of one file


def write(leaving: Leaving, target: str, name: str, replace: bool, ann: bool, progress: bool) -> Exported:
    """Write the folder `target`, whose vectors are float32 and thus none the worse.

    The key of a picture is its `image_path`, of a text or vector its `key`. An index of texts has `text_emb`. The
    schema of each parquet tells, under `fewshot`, what made the vectors.
    """
    import pyarrow
    from pyarrow import parquet

    folder = Path(target)
    if folder.exists() and not (replace and _replaceable(folder)):
        raise InvalidInput(
            f"{target} exists already; give a new folder, or replace=True (--replace) for one in this layout"
        )
    items = leaving.manifest.backbone.get("items")
    which = "text_emb" if items == "texts" else "img_emb"
    key = "image_path" if items == "images" else "key"
    columns = renamed(leaving.names, ("id", "key", "hash", "label", "image_path"))
    parts = -(-leaving.count // PART)
    digits = len(str(parts - 1))
    with progress_bar(f"to {target}", leaving.count, show=progress) as advance, whole_folder(folder) as beside:
        for place in (which, "metadata"):
            (beside / place).mkdir()
        blocks = leaving.blocks()
        kept_vectors, kept_rows = next(blocks)
        for part in range(parts):
            number, count = str(part).zfill(digits), min(PART, leaving.count - part * PART)
            with whole_file(beside / which / f"{which}_{number}.npy") as path, path.open("wb") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, leaving.manifest.dim)}
                np.lib.format.write_array_header_1_0(file, header)
                rows, missing = [], count
                while missing:
                    if not len(kept_vectors):
                        kept_vectors, kept_rows = next(blocks)
                    file.write(np.ascontiguousarray(kept_vectors[:missing], "<f4").data)
                    rows.append(kept_rows.slice(0, missing))
                    taken = min(missing, len(kept_vectors))
                    kept_vectors, kept_rows = kept_vectors[taken:], kept_rows.slice(taken)
                    missing -= taken
                    advance(taken)
            table = pyarrow.concat_tables(rows).rename_columns(["id", key, "hash", "label", *columns.values()])
            table = table.replace_schema_metadata({b"fewshot": json.dumps(leaving.told()).encode()})
            with whole_file(beside / "metadata" / f"metadata_{number}.parquet") as path:
                parquet.write_table(table, path)
    manifest = leaving.manifest
    search = (
        f"clip-retrieval index --embeddings_folder {target} --index_folder ..., or fewshot index build {target} ..."
    )
    return Exported("clip-retrieval", target, folder.name, leaving.count, manifest.dim, manifest.metric, search)


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {"img_emb", "text_emb", "metadata"}
