"""The ids of deleted items, in one sorted array."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.errors import UnreadableFile
from fewshot.retrieval.store.hashes import notes_of
from fewshot.retrieval.store.manifest import Tombstones
from fewshot.retrieval.store.writing import make_folder, new_file


def write_tombstones(folder: Path, name: str, dead: np.ndarray) -> Tombstones:
    """Write the ids `dead`, ascending and each once, below the index `folder`."""
    make_folder(folder / "tombstones")
    path = folder / "tombstones" / f"{name}.npy"
    with new_file(path) as beside, beside.open("wb") as file:
        np.lib.format.write_array(file, dead.astype("<i8"), allow_pickle=False)
    return Tombstones(name, len(dead), notes_of([path]))


def read_tombstones(folder: Path, note: Tombstones | None) -> np.ndarray:
    """The ids (n,) int64 that are deleted."""
    if note is None:
        return np.empty(0, np.int64)
    path = folder / "tombstones" / f"{note.name}.npy"
    try:
        dead = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise UnreadableFile(f"{path} is damaged: {error}") from None
    if dead.shape != (note.rows,) or dead.dtype != np.int64 or (np.diff(dead) <= 0).any():
        raise UnreadableFile(f"{path} is damaged: it should hold {note.rows} ascending ids")
    return dead
