"""MAML's meta-gradient by three libraries, each in its own way, task by task as all of them are used.

A peer takes a model and a setting and gives a function that adds the gradient of a batch of tasks to `.grad`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fewshot.learners.meta import Tasks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import higher
    import learn2learn
    import torchopt

Backward = Callable[[Tasks], None]


@dataclass(frozen=True)
class Setting:
    """How a task is learned."""

    steps: int
    first_order: bool
    rate: float = 0.4


def each(tasks: Tasks) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    return zip(tasks.support, tasks.support_labels, tasks.query, tasks.query_labels, strict=True)


def by_learn2learn(model: nn.Module, setting: Setting) -> Backward:
    """`clone` and `adapt`."""
    maml = learn2learn.algorithms.MAML(model, lr=setting.rate, first_order=setting.first_order)

    def backward(tasks: Tasks) -> None:
        for support, labels, query, truth in each(tasks):
            learner = maml.clone()
            for _ in range(setting.steps):
                learner.adapt(cross_entropy(learner(support), labels))
            (cross_entropy(learner(query), truth) / len(tasks)).backward()

    return backward


def by_higher(model: nn.Module, setting: Setting) -> Backward:
    """A differentiable SGD; without higher gradients, what reaches the last weights is added to the first by hand."""
    parameters = list(model.parameters())
    inner = torch.optim.SGD(parameters, setting.rate)
    context = {"copy_initial_weights": False, "track_higher_grads": not setting.first_order}

    def backward(tasks: Tasks) -> None:
        for support, labels, query, truth in each(tasks):
            with higher.innerloop_ctx(model, inner, **context) as (fast, optimiser):
                for _ in range(setting.steps):
                    optimiser.step(cross_entropy(fast(support), labels))
                loss = cross_entropy(fast(query), truth) / len(tasks)
                if setting.first_order:
                    add_gradients(parameters, torch.autograd.grad(loss, list(fast.parameters())))
                else:
                    loss.backward()

    return backward


def by_torchopt(model: nn.Module, setting: Setting) -> Backward:
    """`MetaSGD`, or where that has no mode for it, for first order, the functional form of the same optimiser."""
    return torchopt_first_order(model, setting) if setting.first_order else torchopt_second_order(model, setting)


def torchopt_second_order(model: nn.Module, setting: Setting) -> Backward:
    inner = torchopt.MetaSGD(model, lr=setting.rate)

    def backward(tasks: Tasks) -> None:
        first = torchopt.extract_state_dict(model, by="reference")
        state = torchopt.extract_state_dict(inner, by="reference")
        for support, labels, query, truth in each(tasks):
            for _ in range(setting.steps):
                inner.step(cross_entropy(model(support), labels))
            (cross_entropy(model(query), truth) / len(tasks)).backward()
            torchopt.recover_state_dict(model, first)
            torchopt.recover_state_dict(inner, state)

    return backward


def torchopt_first_order(model: nn.Module, setting: Setting) -> Backward:
    parameters = dict(model.named_parameters())
    inner = torchopt.sgd(setting.rate)

    def backward(tasks: Tasks) -> None:
        for support, labels, query, truth in each(tasks):
            fast = parameters
            state = inner.init(fast)
            for _ in range(setting.steps):
                loss = cross_entropy(functional_call(model, fast, (support,)), labels)
                gradients = dict(zip(fast, torch.autograd.grad(loss, list(fast.values())), strict=True))
                updates, state = inner.update(gradients, state, inplace=False)
                fast = torchopt.apply_updates(fast, updates, inplace=False)
            (cross_entropy(functional_call(model, fast, (query,)), truth) / len(tasks)).backward()

    return backward


def add_gradients(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


PEERS = {"learn2learn": by_learn2learn, "higher": by_higher, "torchopt": by_torchopt}
