"""Features of a run that is under way: written batch by batch, so that a stopped run goes on where it was."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import UnreadableFile
from fewshot.files import read_json, write_json


class PartialFeatures:
    """A (items, dim) float32 array on disk, items above zero, and a note of how many rows are done.

    `key` names what is being computed; a folder left by another key, or damaged, is begun anew.
    """

    def __init__(self, folder: Path, key: str, items: int, dim: int, flush_every: int = 512) -> None:
        self.folder, self.key, self.flush_every = folder, key, flush_every
        folder.mkdir(parents=True, exist_ok=True)
        self.done, self.broken = self._read_note(items, dim)
        path = folder / "features.f32"
        self.array = np.memmap(path, np.float32, "r+" if self.done else "w+", shape=(items, dim))
        self._noted = self.done

    def _read_note(self, items: int, dim: int) -> tuple[int, list[int]]:
        try:
            note = read_json(self.folder / "progress.json")
            size = (self.folder / "features.f32").stat().st_size
        except (UnreadableFile, FileNotFoundError):
            return 0, []
        if not isinstance(note, dict) or note.get("key") != self.key or size != 4 * items * dim:
            return 0, []
        return int(note["done"]), list(note["broken"])

    def write(self, rows: Tensor, features: Tensor, broken: tuple[int, ...]) -> None:
        """Keep the features of `rows`, and go past `rows` and `broken`, which follow on what is done."""
        if len(rows):
            self.array[rows.numpy()] = features.cpu().numpy()
        self.broken += broken
        self.done += len(rows) + len(broken)
        if self.done - self._noted >= self.flush_every:
            self.note()

    def note(self) -> None:
        """Flush to disk: what is noted is never computed again."""
        if self.done > self._noted:
            self.array.flush()
            write_json(self.folder / "progress.json", {"key": self.key, "done": self.done, "broken": self.broken})
            self._noted = self.done

    def features(self) -> Tensor:
        """All rows, backed by the file."""
        return torch.from_numpy(self.array)
