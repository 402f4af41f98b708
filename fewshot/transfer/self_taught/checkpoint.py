"""Where a pretraining stands, in one file that is whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.errors import UnreadableFile
from fewshot.files import write_tensors
from fewshot.learners.meta.training.checkpoint_tensors import (
    model_tensors,
    optimiser_state,
    set_state,
    training_tensors,
)

FORMAT = {"format": "fewshot.Pretraining", "version": "1"}


@dataclass
class Standing:
    """Steps done, seconds of work, and a row of the log for each checkpoint."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing, record: dict[str, Any]
) -> None:
    """Write all that the pretraining needs to go on; `record` says what learns what from which images."""
    tensors = training_tensors(model.state_dict(), optimiser)
    write_tensors(path, tensors, {**FORMAT, "standing": json.dumps(vars(standing)), "record": json.dumps(record)})


def read_checkpoint(path: Path) -> tuple[Standing, dict[str, Any], dict[str, Tensor]]:
    """Standing, record and tensors; raises `UnreadableFile` for a missing, damaged or foreign file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if {key: header.get(key) for key in FORMAT} != FORMAT:
            raise UnreadableFile(
                f"{path} holds no pretraining, version {FORMAT['version']}; pretrain into another folder"
            )
        return Standing(**json.loads(header["standing"])), json.loads(header["record"]), tensors
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is damaged ({error}); remove it to begin anew") from None


def restore(tensors: dict[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Fill model and optimiser, in place, with the tensors that `read_checkpoint` gave."""
    model.load_state_dict(model_tensors(tensors))
    set_state(optimiser, optimiser_state(tensors))
