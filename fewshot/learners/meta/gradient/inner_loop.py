"""The inner loop of MAML and its family: gradient steps on the support (Finn et al. 2017, eq. 1, algorithm 2).

It is written once, for any number of tasks at a time. A *state* is a mapping from names to tensors: the parameters and
buffers of the model, by their names there. A *network* (`TaskNetwork`) turns a state and inputs (T, S, ...) into
logits (T, S, ways); the engines make it, and their networks take parameters that have an own value a task, (T, ...).

    state = network.spread(state, loop.adapted, tasks)          # own values a task, where the engine wants them
    for state in adaptation(network, state, support, labels, loop):   # the state after each step
        ...
    logits = network(at_step(state, loop.per_step, step), query)

The losses are summed over tasks, so that the gradient of a task's parameters is that of its own loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fewshot.learners.meta.gradient.recomputing import recomputed_step
from fewshot.learners.meta.tasks import Tasks

State = Mapping[str, Tensor]
Rate = float | Tensor


class TaskNetwork(Protocol):
    """A network of T tasks at once, whose parameters and buffers are given at each call."""

    def __call__(self, state: State, inputs: Tensor) -> Tensor:
        """Logits (T, S, ways) of inputs (T, S, ...)."""

    def features(self, state: State, inputs: Tensor) -> Tensor:
        """Features (T, S, dim) of inputs (T, S, ...)."""

    def head(self, state: State, features: Tensor) -> Tensor:
        """Logits (T, S, ways) of features (T, S, dim)."""

    def spread(self, state: State, names: Sequence[str], tasks: int) -> State:
        """The state with an own value a task (T, ...) of the named parameters, as far as the network needs that."""


@dataclass(frozen=True)
class InnerLoop:
    """How a task is learned.

    rates: a mapping for each step, from the name of a parameter that adapts to its rate: a number, a scalar tensor or
    a tensor of the parameter's shape; gradients reach rates that are tensors.
    first_order: gradients of the steps are taken as constants, which leaves out second derivatives (FOMAML).
    memory: "low" keeps only the state after each step, and computes the step again when its gradient is needed; at
    first order nothing else is kept anyway.
    importance: weight of the query loss after each step (MAML++, eq. 2); None stands for the last step alone.
    per_step: names of the state's tensors that hold one value a step, (steps, ...): batch norm, per step.
    head_only: only parameters of the head adapt, so that features are computed once.
    """

    rates: Sequence[Mapping[str, Rate]]
    first_order: bool = False
    memory: Literal["full", "low"] = "full"
    importance: Sequence[float] | None = None
    per_step: frozenset[str] = frozenset()
    head_only: bool = False

    @property
    def adapted(self) -> list[str]:
        """Names of the parameters that adapt."""
        return list(self.rates[0]) if self.rates else []


def task_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean loss over the samples of a task, summed over tasks.

    logits (T, S, ways) with labels (T, S) integer: cross-entropy; with labels (T, S, outputs) float: squared error.
    """
    if labels.is_floating_point():
        return (logits - labels).square().mean((1, 2)).sum()
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]


def at_step(state: State, per_step: frozenset[str], step: int) -> State:
    """The state whose per-step tensors are those of `step`, or of the last step they know."""
    if not per_step:
        return state
    return {name: each[min(step, len(each) - 1)] if name in per_step else each for name, each in state.items()}


def adaptation(
    network: TaskNetwork, state: State, support: Tensor, labels: Tensor, loop: InnerLoop, keep_graph: bool = True
) -> Iterator[State]:
    """The state after each step of gradient descent on the support (T, S, ...), with labels (T, S).

    keep_graph: gradients flow through the steps to the first state and to the rates; otherwise each state is detached.
    """
    for step in range(len(loop.rates)):
        if keep_graph and loop.memory == "low" and not loop.first_order:  # a first-order step keeps no graph
            state = recomputed_step(_step, network, state, support, labels, loop, step)
        else:
            state = _step(network, state, support, labels, loop, step, keep_graph)
        yield state


def query_loss(network: TaskNetwork, state: State, tasks: Tasks, loop: InnerLoop) -> tuple[Tensor, Tensor]:
    """The query loss after adaptation, a mean over queries and a sum over tasks, and the logits (T, Q, ways).

    Both carry the graph to the parameters and rates: their gradient is the meta-gradient (algorithm 2, line 10).
    """
    network, state, support, query = _prepared(network, state, tasks, loop)
    importance = loop.importance or [0.0] * (len(loop.rates) - 1) + [1.0]
    states = adaptation(network, state, support, tasks.support_labels, loop) if loop.rates else [state]
    loss, logits = support.new_zeros(()), support
    for step, (state, weight) in enumerate(zip(states, importance, strict=True)):
        if weight or step == len(importance) - 1:
            logits = network(at_step(state, loop.per_step, step), query)
            loss = loss + weight * task_loss(logits, tasks.query_labels)
    return loss, logits


def adapted_logits(network: TaskNetwork, state: State, tasks: Tasks, loop: InnerLoop) -> Tensor:
    """Logits (T, Q, ways) after adaptation; of a step's graph nothing is kept."""
    with torch.no_grad():
        network, state, support, query = _prepared(network, state, tasks, loop)
        for adapted in adaptation(network, state, support, tasks.support_labels, loop, keep_graph=False):
            state = adapted
        return network(at_step(state, loop.per_step, max(len(loop.rates) - 1, 0)), query)


def _prepared(network: TaskNetwork, state: State, tasks: Tasks, loop: InnerLoop) -> tuple[Any, State, Tensor, Tensor]:
    """Network, state, support and query to begin with; of the network only the head where the rest stays the same."""
    state = network.spread(state, loop.adapted, len(tasks))
    if not loop.head_only or loop.per_step:
        return network, state, tasks.support, tasks.query
    return _HeadAlone(network), state, network.features(state, tasks.support), network.features(state, tasks.query)


def support_gradients(
    network: TaskNetwork, state: State, support: Tensor, labels: Tensor, names: Sequence[str], graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradient of the support loss for each named parameter of the state; zeros where it has no influence."""
    with torch.enable_grad():
        loss = task_loss(network(state, support), labels)
        values = [state[name] for name in names]
        return torch.autograd.grad(loss, values, create_graph=graph, allow_unused=True, materialize_grads=True)


def with_gradients(state: State, names: Sequence[str]) -> State:
    """The state with the named parameters detached, so that a graph starts there."""
    return {**state, **{name: state[name].detach().requires_grad_() for name in names}}


def _step(
    network: TaskNetwork, state: State, support: Tensor, labels: Tensor, loop: InnerLoop, step: int, keep_graph: bool
) -> State:
    rates = loop.rates[step]
    state = state if keep_graph else with_gradients(state, list(rates))
    at_hand = at_step(state, loop.per_step, step)
    graph = keep_graph and not loop.first_order
    gradients = support_gradients(network, at_hand, support, labels, list(rates), graph)
    moved = {
        name: state[name] - rate * gradient for (name, rate), gradient in zip(rates.items(), gradients, strict=True)
    }
    return {**state, **{name: each if keep_graph else each.detach() for name, each in moved.items()}}


@dataclass(frozen=True)
class _HeadAlone:
    """The network of which only the head is left: its inputs are features."""

    network: TaskNetwork

    def __call__(self, state: State, inputs: Tensor) -> Tensor:
        return self.network.head(state, inputs)
