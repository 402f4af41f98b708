"""Where a fine-tuning stands, in files that are whole or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import UnreadableFile
from fewshot.files import write_tensors
from fewshot.learners.meta.training.checkpoint_tensors import model_tensors, optimiser_state, training_tensors

FORMAT = {"format": "fewshot.FineTuning", "version": "1"}


@dataclass
class Standing:
    """Where a training stands: the stage it is in, epochs of that stage and of all, and the best look so far."""

    stage: int = 0
    epoch: int = 0
    epochs: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    since_best: int = 0
    seconds: float = 0.0
    ended: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    def look(self, accuracy: float | None, loss: float | None) -> bool:
        """Note held-out accuracy and loss of the epoch, None without, and tell whether it is the best so far."""
        better = accuracy is None or loss is None or (accuracy, -loss) > (self.best_accuracy, -self.best_loss)
        if accuracy is not None and loss is not None and better:
            self.best_accuracy, self.best_loss = accuracy, loss
        self.since_best = 0 if better else self.since_best + 1
        self.best_epoch = self.epochs if better else self.best_epoch
        return better


def save_checkpoint(
    path: Path,
    model: dict[str, Tensor],
    standing: Standing,
    record: dict[str, Any],
    optimiser: torch.optim.Optimizer | None = None,
) -> None:
    """Write the model's tensors, and with `optimiser` all that a training needs to go on."""
    told = {**vars(standing), "best_loss": None if standing.best_loss == float("inf") else standing.best_loss}
    write_tensors(
        path, training_tensors(model, optimiser), {**FORMAT, "standing": json.dumps(told), "record": json.dumps(record)}
    )


def read_checkpoint(path: Path) -> tuple[Standing, dict[str, Any], dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    """Standing, record, the model's tensors and the optimiser's state by parameter.

    Raises `UnreadableFile` for a file that is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        if {key: header.get(key) for key in FORMAT} != FORMAT:
            raise UnreadableFile(f"{path} holds no fine-tuning of version {FORMAT['version']}")
        told = json.loads(header["standing"])
        told["best_loss"] = float("inf") if told["best_loss"] is None else told["best_loss"]
        standing, record = Standing(**told), json.loads(header["record"])
        tensors = load_file(path)
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is damaged or no fine-tuning ({error}); train again") from None
    return standing, record, model_tensors(tensors), optimiser_state(tensors)
