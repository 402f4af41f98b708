"""iMAML: the meta-gradient at the solution of a task, whatever way led there (Rajeswaran et al. 2019, algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import ClassVar

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.meta.engines.engine import state_of
from fewshot.learners.meta.gradient.inner_loop import (
    State,
    TaskNetwork,
    support_gradients,
    task_loss,
    with_gradients,
)
from fewshot.learners.meta.gradient.learner import ANY_STEPS, GradientLearner
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.tasks import Tasks


@register_meta_learner("imaml", paper="Rajeswaran et al. 2019, Meta-Learning with Implicit Gradients, arXiv:1909.04630")
@dataclass(frozen=True)
class IMAML(GradientLearner):
    """All parameters adapt to the support loss plus penalty / 2 times the squared distance to the first weights.

    Where the adapted weights solve that problem, the meta-gradient is (I + H / penalty)⁻¹ g, with the query gradient g
    and the Hessian H of the support loss (lemma 1); `solver_steps` steps of conjugate gradient approach it. The way of
    the inner loop is not kept, so that `memory` does not matter; `first_order` takes H as zero. The defaults are the
    paper's for Omniglot, 5 ways 1 shot, with the inner rate of its authors' code.
    """

    engines: ClassVar[tuple[str, ...]] = ANY_STEPS

    inner_rate: float = 0.1
    inner_steps: int = 16
    evaluation_steps: int = 16
    penalty: float = 2.0
    solver_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "penalty", "solver_steps")
        if self.batch_norm == "per-step":
            raise InvalidInput(
                f"{self.name}: batch_norm 'per-step' learns weights that are no part of a task's solution; "
                "take 'transductive' or 'running'"
            )

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the implicit meta-gradient of the mean query loss to `.grad`."""
        engine, names = self.chosen_engine(model, tasks), list(self.rates(model))
        network, losses, logits = engine.network(model), [], []
        for part in engine.parts(tasks):
            with engine.autocast(tasks):
                state = self._solution(network, model, part, self.inner_steps)
                query_logits = network(state, part.query)
                loss = task_loss(query_logits, part.query_labels)
                slopes = torch.autograd.grad(loss, [state[name] for name in names], materialize_grads=True)
                gradient = _flat(slopes, len(part))
                if not self.first_order:
                    gradient = self._through_solution(network, state, names, part, gradient)
            _add([model.get_parameter(name) for name in names], gradient.sum(0, keepdim=True) / len(tasks))
            losses.append(loss.detach())
            logits.append(query_logits.detach())
        return Outcome(torch.stack(losses).sum() / len(tasks), torch.cat(logits))

    @torch.no_grad()
    def logits(self, model: nn.Module, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) after `evaluation_steps` steps."""
        engine = self.chosen_engine(model, tasks)
        network, found = engine.network(model), []
        for part in engine.parts(tasks):
            with engine.autocast(tasks):
                found.append(network(self._solution(network, model, part, self.evaluation_steps), part.query))
        return torch.cat(found)

    def _solution(self, network: TaskNetwork, model: nn.Module, tasks: Tasks, steps: int) -> State:
        """The state after gradient descent on the penalised support loss; at what adapted a new graph starts."""
        rates = self.rates(model)
        names, support, labels = list(rates), tasks.support, tasks.support_labels
        first = network.spread({name: each.detach() for name, each in state_of(model).items()}, names, len(tasks))
        state = with_gradients(first, names)
        for _ in range(steps):
            gradients = support_gradients(network, state, support, labels, names)
            with torch.no_grad():
                moved = {
                    name: state[name] - rates[name] * (gradient + self.penalty * (state[name] - first[name]))
                    for name, gradient in zip(names, gradients, strict=True)
                }
            state = with_gradients({**state, **moved}, names)
        return state

    def _through_solution(
        self, network: TaskNetwork, state: State, names: Sequence[str], tasks: Tasks, gradient: Tensor
    ) -> Tensor:
        """(I + H / penalty)⁻¹ times the query gradient (T, N) of each task."""
        weights = [state[name] for name in names]
        slopes = support_gradients(network, state, tasks.support, tasks.support_labels, names, graph=True)
        curved = [slope.requires_grad for slope in slopes]  # not so for a weight that makes no difference

        def product(vector: Tensor) -> Tensor:
            """(I + H / penalty) times a vector (T, N) a task, by another derivative of the gradient."""
            towards = _shaped(vector, weights)
            bent = torch.autograd.grad(
                list(compress(slopes, curved)),
                weights,
                list(compress(towards, curved)),
                retain_graph=True,
                materialize_grads=True,
            )
            return vector + _flat(bent, len(tasks)) / self.penalty

        return conjugate_gradient(product, gradient, self.solver_steps)


def conjugate_gradient(product: Callable[[Tensor], Tensor], target: Tensor, steps: int) -> Tensor:
    """Approach A⁻¹ target for T symmetric matrices at once, given `product`, A times a vector a task: (T, N) to (T, N).

    It starts from the target, A being near the identity. A task stops where A curves down, as Hessians of networks may.
    """
    found, residual = target, target - product(target)
    direction, size = residual, residual.square().sum(1, keepdim=True)
    for _ in range(steps):
        image = product(direction)
        curvature = (direction * image).sum(1, keepdim=True)
        length = torch.where(curvature > 0, size / curvature, 0)
        found, residual = found + length * direction, residual - length * image
        before, size = size, residual.square().sum(1, keepdim=True)
        direction = torch.where(length > 0, residual + size / before * direction, 0)
    return found


def _flat(tensors: Sequence[Tensor], tasks: int) -> Tensor:
    """Tensors of T tasks, (T, ...), side by side: (T, N)."""
    return torch.cat([each.reshape(tasks, -1) for each in tensors], 1)


def _shaped(vectors: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of vectors (T, N) in the shapes of `like`: (T, ...), or (...) where T is 1."""
    parts = vectors.split([each.numel() // len(vectors) for each in like], 1)
    return [part.reshape(each.shape) for part, each in zip(parts, like, strict=True)]


def _add(parameters: Sequence[nn.Parameter], gradient: Tensor) -> None:
    """Add a gradient (1, N) to that of the parameters."""
    for parameter, each in zip(parameters, _shaped(gradient, parameters), strict=True):
        parameter.grad = each if parameter.grad is None else parameter.grad + each
