"""`MetaTraining`: how long, on which tasks and with which optimiser a meta-learner is trained."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch

from fewshot.episodes.checks import positive, whole_number
from fewshot.errors import InvalidInput
from fewshot.learners.meta.training.augmentation import check_steps

_OPTIMIZERS = ("adam", "adamw", "sgd")
_SCHEDULES = ("constant", "cosine", "halve")
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class MetaTraining:
    """How a meta-learner is trained.

    ways, shots, queries: the shape of a training task; tasks: how many a step, over all processes.
    batch: images a step, for learners that train on labelled batches instead of tasks.
    optimizer, learning_rate, momentum (sgd), weight_decay; schedule: "constant", "cosine" to zero at the last step, or
        "halve" every `halve_every` steps; clip: the largest norm of the gradient, 0 for no limit.
    validate_every: steps between two looks at the validation tasks, each of which writes a checkpoint; patience: after
        so many looks without a better accuracy the training stops, 0 for never.
    validation_ways, validation_shots, validation_queries: the shape of a validation task, None for that of training.
    rotations: classes turned by quarters are classes of their own, in tasks and in labelled batches; augmentation:
        "crop", "flip", "jitter".
    within: all classes of a training task come from one group of this grouping, such as alphabet; None for any.
        Learners that train on labelled batches refuse it.
    These three are for training alone: validation tasks are of unturned classes and of any group, not augmented.
    precision: "float32", or "bfloat16" for what autocast computes in it.

    Raises `InvalidInput` for what is no number of the kind.
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    tasks: int = 4
    batch: int = 64
    steps: int = 10_000
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "halve"] = "constant"
    halve_every: int = 2_000
    clip: float = 0.0
    validate_every: int = 500
    validation_tasks: int = 400
    validation_ways: int | None = None
    validation_shots: int | None = None
    validation_queries: int | None = None
    patience: int = 0
    rotations: bool = False
    augmentation: tuple[str, ...] = ()
    within: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("ways", self.ways, 2)
        for name in ("shots", "queries", "tasks", "batch", "steps", "halve_every", "validate_every"):
            whole_number(name, getattr(self, name), 1)
        whole_number("validation_tasks", self.validation_tasks, 2)
        for name in ("patience", "seed"):
            whole_number(name, getattr(self, name), 0)
        for name, least in (("validation_ways", 2), ("validation_shots", 1), ("validation_queries", 1)):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), least)
        positive("learning_rate", self.learning_rate)
        for name in ("momentum", "weight_decay", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} must be zero or more, found {getattr(self, name)}")
        for name, known in (("optimizer", _OPTIMIZERS), ("schedule", _SCHEDULES), ("precision", tuple(_PRECISIONS))):
            if getattr(self, name) not in known:
                raise InvalidInput(f"{name} must be one of {', '.join(known)}; found {getattr(self, name)!r}")
        if not isinstance(self.rotations, bool):
            raise InvalidInput(f"rotations must be true or false, found {self.rotations!r}")
        if isinstance(self.augmentation, str):
            raise InvalidInput(f"augmentation must be a tuple of names, found {self.augmentation!r}")
        check_steps(self.augmentation)
        object.__setattr__(self, "augmentation", tuple(self.augmentation))

    @property
    def validation_shape(self) -> tuple[int, int, int]:
        """Ways, shots and queries of a validation task."""
        given = (self.validation_ways, self.validation_shots, self.validation_queries)
        usual = (self.ways, self.shots, self.queries)
        ways, shots, queries = (one if one is not None else other for one, other in zip(given, usual, strict=True))
        return ways, shots, queries

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        if self.schedule == "cosine":
            return self.learning_rate * (1 + cos(pi * step / self.steps)) / 2
        return self.learning_rate / 2 ** (step // self.halve_every if self.schedule == "halve" else 0)

    def optimiser(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, self.learning_rate, self.momentum, weight_decay=self.weight_decay)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(parameters, self.learning_rate, weight_decay=self.weight_decay)

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context that computes in `precision`."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
