"""Checkpoints: model, optimiser and where the training stands, in one file that is whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fewshot.errors import FingerprintMismatch, InvalidInput, UnreadableFile
from fewshot.files import write_tensors
from fewshot.learners.meta.training.checkpoint_tensors import (
    model_tensors,
    optimiser_state,
    set_state,
    training_tensors,
)
from fewshot.metrics import Interval

FORMAT = {"format": "fewshot.MetaCheckpoint", "version": "1"}


@dataclass
class Standing:
    """Where a training stands after `step` steps: the best validation so far, looks since then, seconds of work."""

    step: int = 0
    best_step: int = 0
    best_accuracy: float = -1.0
    looks_since_best: int = 0
    seconds: float = 0.0
    ended: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    def validated(self, found: Interval | None) -> bool:
        """Note the accuracy of a look, None where nothing validates, and tell whether the model is the best so far."""
        better = found is None or found.mean > self.best_accuracy
        if found is not None:
            self.history[-1] |= {"validation_accuracy": found.mean, "validation_ci95": found.half_width}
            self.best_accuracy = max(self.best_accuracy, found.mean)
        self.looks_since_best = 0 if better else self.looks_since_best + 1
        self.best_step = self.step if better else self.best_step
        return better


def save_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing, record: dict[str, Any]
) -> None:
    """Write everything that the training needs to go on; `record` says what is trained on what, ready for JSON."""
    tensors = training_tensors(model.state_dict(), optimiser)
    write_tensors(path, tensors, {**FORMAT, "standing": json.dumps(vars(standing)), "record": json.dumps(record)})


def read_record(path: Path) -> tuple[Standing, dict[str, Any]]:
    """Where the training stood and what was trained; raises `UnreadableFile` for a missing, damaged or foreign file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        if {key: header.get(key) for key in FORMAT} != FORMAT:
            raise UnreadableFile(f"{path} holds no checkpoint of a meta-learner, version {FORMAT['version']}")
        return Standing(**json.loads(header["standing"])), json.loads(header["record"])
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is damaged or no checkpoint ({error}); train again, or use another one") from None


def load_checkpoint(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> None:
    """Fill the model, and the optimiser where one is given; raises `InvalidInput` if they are of another shape."""
    from safetensors.torch import load_file

    read_record(path)
    tensors = load_file(path)
    try:
        model.load_state_dict(model_tensors(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InvalidInput(
            f"the checkpoint {path} is of another network than the one it is loaded into: {reason}"
        ) from None
    if optimiser is not None:
        set_state(optimiser, optimiser_state(tensors))


def check_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise `FingerprintMismatch`, naming what differs, if a folder holds another training than the one asked for."""
    differ = [f"{what} is {there!r} there and {here!r} here" for what, there, here in _differences(found, wanted)]
    if differ:
        raise FingerprintMismatch(
            f"{path} belongs to another training: {'; '.join(differ)}; train into another folder, or as before"
        )


def _differences(found: Any, wanted: Any, what: str = "") -> list[tuple[str, Any, Any]]:
    """Name, value there and value here of each entry that differs, however deep it is."""
    if found == wanted:
        return []
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return [(what, found, wanted)]
    names = dict.fromkeys((*wanted, *found))
    inner = {name: f"{what}.{name}" if what else name for name in names}
    return [each for name in names for each in _differences(found.get(name), wanted.get(name), inner[name])]
