"""`FineTuning`: all that is to be said of a fine-tuning but network and data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from fewshot.episodes.checks import positive, whole_number
from fewshot.errors import InvalidInput
from fewshot.transfer.augmentation import augmentation
from fewshot.transfer.finetuning.model import TransferModel
from fewshot.transfer.finetuning.regularisers import Regulariser
from fewshot.transfer.finetuning.schedule import Schedule, Stage, parse_schedule
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY, Sees

_OPTIMIZERS = ("adamw", "sgd")
_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class FineTuning:
    """How a network is fine-tuned.

    schedule: the stages; augment: the name of a policy; regulariser: one of the variants, or None.
    batch: images a step; optimizer, momentum (sgd), weight_decay of matrices; clip: the largest norm of the gradient, 0
        for no limit.
    patience: a stage ends after so many epochs without a better held-out accuracy, 0 for never.
    precision: "bfloat16" for what autocast computes in it; image_size: in pixels, None for the network's own.
    cache_prefix: run what is frozen once and keep its output, where no augmentation changes the images.

    Raises `InvalidInput` for what is no number of the kind, `UnknownName` for an augmentation that does not exist.
    """

    schedule: Schedule = field(default_factory=lambda: parse_schedule("lp-ft"))
    augment: str = "none"
    regulariser: Regulariser | None = None
    batch: int = 32
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 0.0
    patience: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    image_size: int | None = None
    cache_prefix: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        augmentation(self.augment)
        whole_number("batch", self.batch, 2)
        for name in ("patience", "seed"):
            whole_number(name, getattr(self, name), 0)
        if self.image_size is not None:
            positive("image_size", self.image_size)
        for name in ("momentum", "weight_decay", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be zero or more, found {getattr(self, name)}")
        for name, known in (("optimizer", _OPTIMIZERS), ("precision", _PRECISIONS)):
            if getattr(self, name) not in known:
                raise InvalidInput(f"{name} must be one of {', '.join(known)}; found {getattr(self, name)!r}")

    @property
    def sees(self) -> Sees:
        """Labels of the target, and pretrained weights unless the schedule starts from random ones."""
        return INDUCTIVE if self.schedule.pretrained else TARGET_ONLY

    def facts(self) -> dict[str, Any]:
        """Every setting, ready for JSON."""
        own = {name: value for name, value in vars(self).items() if name not in ("schedule", "regulariser")}
        regulariser = self.regulariser and self.regulariser.facts()
        content = {"schedule": self.schedule.to_json(), "regulariser": regulariser, **own}
        return json.loads(json.dumps(content))  # lists, not tuples

    def optimiser(self, model: TransferModel, stage: Stage) -> torch.optim.Optimizer:
        """The optimiser of what the stage trains: a group a rate, each with its height as `highest`."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                height = model.height(name)
                rate = stage.unit_rate(height) if height else stage.rate
                decay = self.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        options: list[dict[str, Any]] = [
            {"params": parameters, "lr": rate, "highest": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ]
        if self.optimizer == "sgd":
            return torch.optim.SGD(options, momentum=self.momentum)
        return torch.optim.AdamW(options)


def set_rates(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Each group's rate at this share of its highest."""
    for group in optimiser.param_groups:
        group["lr"] = share * group["highest"]
