"""The folder of a training: its checkpoints, what it is known by, its log and its curves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fewshot.files import remove_unfinished, write_json
from fewshot.learners.meta.training.checkpoint import Standing, load_checkpoint, read_record, save_checkpoint
from fewshot.learners.meta.training.log import draw_curves, write_log
from fewshot.learners.meta.training.record import check_record


@dataclass(frozen=True)
class TrainingFolder:
    """Each file is whole or as it was. record: what is trained on what; title: of the picture of the curves."""

    path: Path
    record: dict[str, Any]
    title: str

    @property
    def best(self) -> Path:
        """The checkpoint that validated best."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The checkpoint of the last look."""
        return self.path / "last.safetensors"

    def resume(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> Standing:
        """Where the training stands, with model and optimiser as they were there.

        Raises `FingerprintMismatch` if it is another training, and `UnreadableFile` for a damaged checkpoint.
        """
        if not self.last.exists():
            return Standing()
        standing, found = read_record(self.last)
        check_record(self.path, found, self.record)
        load_checkpoint(self.last, model, optimiser)
        return standing

    def begin(self) -> None:
        """Remove what a killed process left unfinished, and write the record of a new training."""
        for checkpoint in (self.best, self.last):
            remove_unfinished(checkpoint)
        if not self.last.exists():
            write_json(self.path / "training.json", self.record)

    def tell_engine(self, engine: str) -> None:
        """Add what computes the steps to the facts; the training may go on where another engine is faster."""
        write_json(self.path / "training.json", {**self.record, "engine": engine})

    def keep(self, model: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing, best: bool) -> None:
        """Write the checkpoints, the log and the curves. Raises `UnwritableFile`; what was there then stays."""
        for checkpoint in [self.best, self.last] if best else [self.last]:
            save_checkpoint(checkpoint, model, optimiser, standing, self.record)
        write_log(standing.history, self.path / "log.csv")
        draw_curves(standing.history, self.title, self.path / "curves.png")
