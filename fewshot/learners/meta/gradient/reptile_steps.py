"""The inner steps of Reptile: Adam without momentum on small batches of the support (Nichol et al. 2018, section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from fewshot.learners.meta.gradient.inner_loop import State, TaskNetwork, at_step, support_gradients, with_gradients
from fewshot.learners.meta.tasks import Tasks

DECAY, EPSILON = 0.999, 1e-8


def adam_steps(
    network: TaskNetwork,
    state: State,
    moments: Mapping[str, Tensor],
    counted: float,
    tasks: Tasks,
    rate: float,
    steps: int,
    batch: int,
    per_step: frozenset[str],
) -> tuple[State, Mapping[str, Tensor]]:
    """The state and second moments after some steps, without graph.

    state, moments: parameters, and for those that adapt the running mean of the squared gradient, of `counted` steps,
    which are the seed of the batches too.
    """
    for step, items in enumerate(batches(tasks.support.shape[1], steps, batch, seed=int(counted))):
        state = with_gradients(state, list(moments))
        support, labels = tasks.support[:, items], tasks.support_labels[:, items]
        gradients = support_gradients(network, at_step(state, per_step, step), support, labels, list(moments))
        slopes = dict(zip(moments, gradients, strict=True))
        with torch.no_grad():
            known = 1 - DECAY ** (counted + step + 1)
            moments = {
                name: torch.addcmul(DECAY * each, slopes[name], slopes[name], value=1 - DECAY)
                for name, each in moments.items()
            }
            sizes = {name: each.div(known).sqrt_().add_(EPSILON) for name, each in moments.items()}
            moved = {name: torch.addcdiv(state[name], each, sizes[name], value=-rate) for name, each in slopes.items()}
        state = {**state, **moved}
    return state, moments


def batches(items: int, steps: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Positions of the items of each step: a shuffled order of all, another once these are used up."""
    generator, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(order) < min(batch, items):
            order = torch.cat([order, torch.randperm(items, generator=generator)])
        yield order[:batch]
        order = order[batch:]
