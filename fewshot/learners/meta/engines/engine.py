"""What every engine is: the meta-gradient of a batch of tasks, and logits after adaptation, part by part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from fewshot.learners.meta.gradient.inner_loop import InnerLoop, State, TaskNetwork, adapted_logits, query_loss
from fewshot.learners.meta.meta_learner import Outcome
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.precision import Precision


@dataclass(frozen=True)
class Engine(ABC):
    """Computes what MAML's family needs of a batch of tasks.

    tasks_at_once: tasks whose graph is held at the same time, which bounds the memory.
    precision: "bfloat16" runs convolutions and matrix products in it, by autocast; weights and sums stay as they are.
    reason: why this engine was chosen.
    """

    name: ClassVar[str] = ""

    tasks_at_once: int = 1
    precision: Precision = "float32"
    reason: str = field(default="", compare=False)

    @abstractmethod
    def network(self, model: nn.Module) -> TaskNetwork:
        """The model as a network of tasks. Raises `InvalidInput` for a model that this engine cannot run, by name."""

    def backward(self, model: nn.Module, tasks: Tasks, loop: InnerLoop) -> Outcome:
        """Add the gradient of the mean query loss after adaptation to `.grad`, of the model and of learned rates."""
        state, network, losses, logits = state_of(model), self.network(model), [], []
        for part in self.parts(tasks):
            with self.autocast(tasks):
                loss, query_logits = self.query_loss(network, state, part, loop)
            with torch.autocast(tasks.support.device.type, enabled=False):
                (loss / len(tasks)).backward()
            losses.append(loss.detach())
            logits.append(query_logits.detach())
        return Outcome(torch.stack(losses).sum() / len(tasks), torch.cat(logits))

    def query_loss(self, network: TaskNetwork, state: State, tasks: Tasks, loop: InnerLoop) -> tuple[Tensor, Tensor]:
        """The query loss of some tasks after adaptation, summed over them, and the logits, both with their graph."""
        return query_loss(network, state, tasks, loop)

    def logits(self, model: nn.Module, tasks: Tasks, loop: InnerLoop) -> Tensor:
        """Logits (T, Q, ways) of the queries after adaptation; no graph is kept."""
        state, network = state_of(model), self.network(model)
        with self.autocast(tasks):
            return torch.cat([adapted_logits(network, state, part, loop) for part in self.parts(tasks)])

    def parts(self, tasks: Tasks) -> Iterator[Tasks]:
        """The tasks, as many at once as the engine takes."""
        for start in range(0, len(tasks), self.tasks_at_once):
            yield tasks[start : start + self.tasks_at_once]

    def autocast(self, tasks: Tasks) -> AbstractContextManager[None]:
        """The precision, as a context; within an autocast that is on already, it stays on."""
        device = tasks.support.device.type
        enabled = self.precision == "bfloat16" or torch.is_autocast_enabled(device)
        return torch.autocast(device, torch.bfloat16, enabled=enabled, cache_enabled=False)


def state_of(model: nn.Module) -> State:
    """Parameters and buffers of a model by name, with their graph."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
