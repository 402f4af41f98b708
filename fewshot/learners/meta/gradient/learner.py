"""What MAML's family shares: settings, the model, and the two calls of a meta-learner, made by an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from fewshot.learners.checks import check_settings
from fewshot.learners.meta.engines.choice import EngineName, choose_engine
from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.gradient.batch_norm import BatchNormMode, per_step_names
from fewshot.learners.meta.gradient.checks import check_inner_loop
from fewshot.learners.meta.gradient.inner_loop import InnerLoop, Rate
from fewshot.learners.meta.gradient.model import GradientModel
from fewshot.learners.meta.meta_learner import MetaLearner, Outcome
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.precision import Precision

ANY_STEPS = ("auto", "loop", "batched")  # engines whose network a learner may take steps of its own with


@dataclass(frozen=True)
class GradientLearner(MetaLearner):
    """Adapts to a task by gradient descent on its support; a subclass says which parameters do, and at what rate.

    inner_rate: rate of the steps; inner_steps: steps in training; evaluation_steps: steps in evaluation.
    first_order: leave out second derivatives.
    batch_norm: what batch norm normalises by, see `batch_norm`; transductive, as in MAML's own code, lets a prediction
    depend on the other queries of its task.
    engine: how it is computed, see `engines`; all give the same numbers, up to rounding.
    precision: "bfloat16" computes convolutions and matrix products in it.
    memory: "low" computes inner steps twice rather than keep them.
    """

    fixed_ways: ClassVar[bool] = True
    engines: ClassVar[tuple[str, ...]] = get_args(EngineName)  # that run its inner loop

    inner_rate: float = 0.4
    inner_steps: int = 1
    evaluation_steps: int = 3
    first_order: bool = False
    batch_norm: BatchNormMode = "transductive"
    engine: EngineName = "auto"
    precision: Precision = "float32"
    memory: Literal["full", "low"] = "full"

    def __post_init__(self) -> None:
        check_settings(self)
        check_inner_loop(self)

    def model(self, backbone: nn.Module, dim: int, ways: int) -> GradientModel:
        """The backbone, its batch norm in the chosen mode, and a linear head."""
        return GradientModel(backbone, dim, ways, self.batch_norm, self.inner_steps)

    def adapts(self, name: str) -> bool:
        """Whether the parameter of this name adapts to a task; here all do."""
        return True

    def rates(self, model: nn.Module) -> Mapping[str, Rate]:
        """The rate of each parameter that adapts, by its name in the model."""
        per_step = per_step_names(model)
        names = (name for name, _ in model.named_parameters() if name not in per_step and self.adapts(name))
        return dict.fromkeys(names, self.inner_rate)

    def inner_loop(self, model: nn.Module, steps: int) -> InnerLoop:
        """What the engine is to do."""
        rates = self.rates(model)
        return InnerLoop(
            [rates] * steps,
            self.first_order,
            self.memory,
            per_step=per_step_names(model),
            head_only=all(name.startswith("head.") for name in rates),
        )

    def chosen_engine(self, model: nn.Module, tasks: Tasks, batch: int | None = None) -> Engine:
        """The engine that `engine` names, or for "auto" the one measured fastest; its `reason` says why.

        batch: of how many support items an inner step is made; None for all.
        """
        return choose_engine(self.engine, model, tasks, self.precision, batch)

    def computed_by(self, model: nn.Module, tasks: Tasks) -> str:
        """The engine of a training step, and why it is that one."""
        return self._told(self.chosen_engine(model, tasks))

    def _told(self, engine: Engine) -> str:
        return engine.reason if self.engine == "auto" else f"{engine.name}: {engine.reason}"

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the meta-gradient of the mean query loss to `.grad`."""
        return self.chosen_engine(model, tasks).backward(model, tasks, self.inner_loop(model, self.inner_steps))

    def logits(self, model: nn.Module, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) after `evaluation_steps` steps."""
        return self.chosen_engine(model, tasks).logits(model, tasks, self.inner_loop(model, self.evaluation_steps))
