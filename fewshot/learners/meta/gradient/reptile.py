"""Reptile: move the first weights towards those that a task ends with (Nichol et al. 2018, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.meta.engines.engine import state_of
from fewshot.learners.meta.gradient.batch_norm import per_step_names
from fewshot.learners.meta.gradient.inner_loop import State, TaskNetwork, at_step, task_loss
from fewshot.learners.meta.gradient.learner import ANY_STEPS, GradientLearner
from fewshot.learners.meta.gradient.model import GradientModel
from fewshot.learners.meta.gradient.reptile_steps import adam_steps
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.tasks import Tasks


@register_meta_learner("reptile", paper="Nichol et al. 2018, On First-Order Meta-Learning Algorithms, arXiv:1803.02999")
@dataclass(frozen=True)
class Reptile(GradientLearner):
    """The meta-gradient is first weights minus last weights, after Adam without momentum on batches of the support.

    The outer optimiser is meant to be plain gradient descent whose rate falls from 1 to 0. The defaults are the
    paper's for Omniglot, 5 ways and 1 shot (table 3), where training tasks have 10 shots and meta-batches 5 tasks.
    Nothing of the steps is kept, so that `memory` does not matter.
    batch: support items a step in training; evaluation_batch: in evaluation; all where there are fewer.
    Adam's second moments live on from task to task, as in the paper's code, in the model's buffers `moments.*`; the
    tasks of a meta-batch start from the same ones, and their mean, over all processes, is kept.
    """

    step_buffers: ClassVar[str] = "moments."
    engines: ClassVar[tuple[str, ...]] = ANY_STEPS

    inner_rate: float = 0.001
    inner_steps: int = 5
    evaluation_steps: int = 50
    first_order: bool = True
    batch: int = 10
    evaluation_batch: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "batch", "evaluation_batch")
        if not self.first_order:
            raise InvalidInput(f"{self.name} has no second derivatives; leave first_order as it is, true")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> GradientModel:
        """Backbone, head and Adam's second moments."""
        model = super().model(backbone, dim, ways)
        model.moments = nn.Module()
        for name in self.rates(model):
            model.moments.register_buffer(_key(name), torch.zeros_like(model.get_parameter(name)))
        model.moments.register_buffer("steps", torch.zeros((), dtype=torch.long))
        return model

    def computed_by(self, model: nn.Module, tasks: Tasks) -> str:
        """The engine of a training step, whose inner steps are of `batch` items, and why it is that one."""
        return self._told(self.chosen_engine(model, tasks, self.batch))

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the mean over tasks of first weights minus last weights to `.grad`; the loss is that of the queries."""
        engine = self.chosen_engine(model, tasks, self.batch)
        network, losses, logits = engine.network(model), [], []
        moments = {name: torch.zeros_like(model.get_parameter(name)) for name in self.rates(model)}
        for part in engine.parts(tasks):
            with engine.autocast(tasks):
                state, squares = self._adapted(model, network, part, self.inner_steps, self.batch)
                logits.append(_query_logits(model, network, state, part, self.inner_steps))
            losses.append(task_loss(logits[-1], part.query_labels))
            for name in moments:
                parameter = model.get_parameter(name)
                moved = len(part) * parameter.detach() - _summed(state[name], parameter)
                parameter.grad = moved / len(tasks) + (0 if parameter.grad is None else parameter.grad)
                moments[name] += _summed(squares[name], parameter) / len(tasks)
        for name, moment in moments.items():
            model.get_buffer(f"moments.{_key(name)}").copy_(moment)
        model.get_buffer("moments.steps").add_(self.inner_steps)
        return Outcome(torch.stack(losses).sum() / len(tasks), torch.cat(logits))

    def logits(self, model: nn.Module, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) after `evaluation_steps` steps."""
        engine, logits = self.chosen_engine(model, tasks, self.evaluation_batch), []
        network = engine.network(model)
        with engine.autocast(tasks):
            for part in engine.parts(tasks):
                state, _ = self._adapted(model, network, part, self.evaluation_steps, self.evaluation_batch)
                logits.append(_query_logits(model, network, state, part, self.evaluation_steps))
        return torch.cat(logits)

    def _adapted(
        self, model: nn.Module, network: TaskNetwork, tasks: Tasks, steps: int, batch: int
    ) -> tuple[State, State]:
        """The state after some steps, and the second moments."""
        names = list(self.rates(model))
        state = network.spread(state_of(model), names, len(tasks))
        moments = {name: model.get_buffer(f"moments.{_key(name)}") for name in names}
        counted = int(model.get_buffer("moments.steps"))
        return adam_steps(network, state, moments, counted, tasks, self.inner_rate, steps, batch, per_step_names(model))


@torch.no_grad()
def _query_logits(model: nn.Module, network: TaskNetwork, state: State, tasks: Tasks, steps: int) -> Tensor:
    return network(at_step(state, per_step_names(model), max(steps - 1, 0)), tasks.query)


def _summed(values: Tensor, like: Tensor) -> Tensor:
    """The sum over tasks of values that tasks have, (T, ...) or, for one task, as `like`."""
    return values.sum(0) if values.ndim > like.ndim else values


def _key(name: str) -> str:
    """A parameter's name without dots, which names within a module cannot hold."""
    return name.replace(".", "-")
