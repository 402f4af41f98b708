"""learn2learn's own MAML: `clone` and `adapt`, one task after another (Arnold et al. 2020, arXiv:2008.12284)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.engines.loop import OneTask
from fewshot.learners.meta.gradient.inner_loop import InnerLoop, task_loss
from fewshot.learners.meta.meta_learner import Outcome
from fewshot.learners.meta.tasks import Tasks

HOW_TO_INSTALL = "run in a clone of fewshot: uv sync --extra learn2learn (docs/training.md says how with pip)"


@dataclass(frozen=True)
class Learn2LearnEngine(Engine):
    """The reference of others. It knows one rate, for all parameters of the model, and no more of an inner loop."""

    name: ClassVar[str] = "learn2learn"

    def network(self, model: nn.Module) -> OneTask:
        """Any model; learn2learn calls it by itself. Raises `MissingPackage` where it is not installed."""
        _algorithm()
        return OneTask(model)

    def backward(self, model: nn.Module, tasks: Tasks, loop: InnerLoop) -> Outcome:
        """As every engine. Raises `InvalidInput` for an inner loop that learn2learn lacks."""
        learner, losses, logits = _maml(model, loop), [], []
        for task in self.parts(tasks):
            with self.autocast(tasks):
                clone = _adapted(learner, task, loop)
                query_logits = clone(task.query[0])[None]
                loss = task_loss(query_logits, task.query_labels)
            (loss / len(tasks)).backward()
            losses.append(loss.detach())
            logits.append(query_logits.detach())
        return Outcome(torch.stack(losses).mean(), torch.cat(logits))

    def logits(self, model: nn.Module, tasks: Tasks, loop: InnerLoop) -> Tensor:
        """As every engine; learn2learn's first-order steps, so that little graph is kept."""
        learner, logits = _maml(model, loop), []
        for task in self.parts(tasks):
            with self.autocast(tasks):
                clone = _adapted(learner, task, loop, first_order=True)
                with torch.no_grad():
                    logits.append(clone(task.query[0])[None])
        return torch.cat(logits)


def _algorithm() -> Any:
    try:
        from learn2learn.algorithms import MAML
    except ImportError:
        raise MissingPackage("learn2learn", "engine='learn2learn'", how=HOW_TO_INSTALL) from None
    return MAML


def _maml(model: nn.Module, loop: InnerLoop) -> Any:
    return _algorithm()(model, lr=_rate(model, loop), first_order=loop.first_order)


def _adapted(learner: Any, task: Tasks, loop: InnerLoop, first_order: bool | None = None) -> Any:
    clone = learner.clone(first_order=first_order)
    for _ in loop.rates:
        clone.adapt(task_loss(clone(task.support[0])[None], task.support_labels))
    return clone


def _rate(model: nn.Module, loop: InnerLoop) -> float:
    """The one rate of the loop; raises `InvalidInput` where there is more to it."""
    rates = loop.rates or [dict.fromkeys((name for name, _ in model.named_parameters()), 1.0)]
    found = {rate for each in rates for rate in each.values() if isinstance(rate, float | int)}
    lacking = {
        "learned rates or a rate of its own for a parameter or step": len(found) != 1 or _has_tensors(rates),
        "parameters that do not adapt": set(loop.adapted or rates[0]) != {name for name, _ in model.named_parameters()},
        "batch norm per step": bool(loop.per_step),
        "query losses of each step": loop.importance is not None,
        "memory='low'": loop.memory == "low",
    }
    for what, asked in lacking.items():
        if asked:
            raise InvalidInput(f"engine 'learn2learn' has no {what}; use engine='loop' or engine='auto'")
    return float(found.pop())


def _has_tensors(rates: Any) -> bool:
    return any(isinstance(rate, Tensor) for each in rates for rate in each.values())
