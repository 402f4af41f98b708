"""A step of the inner loop that is computed twice rather than kept (Chen et al. 2016, arXiv:1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from fewshot.learners.meta.gradient.inner_loop import InnerLoop, State, TaskNetwork

Step = Callable[..., "State"]


def recomputed_step(
    take: Step, network: TaskNetwork, state: State, support: Tensor, labels: Tensor, loop: InnerLoop, step: int
) -> State:
    """The state after `take(network, state, support, labels, loop, step, keep_graph)`, of whose graph nothing is kept.

    Gradients reach the state, the support and the rates. Buffers of the state are changed once, by the first pass.
    """
    rates = loop.rates[step]
    learned = [name for name, rate in rates.items() if isinstance(rate, Tensor)]
    tracked = [name for name, each in state.items() if each.requires_grad]

    def moved(values: Sequence[Tensor], again: bool) -> tuple[Tensor, ...]:
        items, *rest = values
        own = dict(zip(tracked, rest[: len(tracked)], strict=True))
        own_rates = {**rates, **dict(zip(learned, rest[len(tracked) :], strict=True))}
        others = {name: each.clone() if again else each for name, each in state.items() if name not in own}
        here = replace(loop, rates=[*loop.rates[:step], own_rates])
        after = take(network, {**state, **others, **own}, items, labels, here, step, again)
        return tuple(after[name] for name in rates)

    values = [support, *(state[name] for name in tracked), *(rates[name] for name in learned)]
    found = _Recomputed.apply(moved, _autocast_at_hand(support), *values)
    return {**state, **dict(zip(rates, found, strict=True))}


class _Recomputed(Function):
    """`moved(values, again)`: without a graph at first, with one when the gradient of `values` is asked for."""

    @staticmethod
    def forward(
        context: Any,
        moved: Callable[[Sequence[Tensor], bool], tuple[Tensor, ...]],
        autocast: Callable[[], AbstractContextManager[Any]],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        context.moved, context.autocast = moved, autocast
        context.save_for_backward(*values)
        return moved(values, False)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        needed = context.needs_input_grad[2:]
        values = [each.detach() for each in context.saved_tensors]
        wanted = [each.requires_grad_() for each, asked in zip(values, needed, strict=True) if asked]
        with torch.enable_grad(), context.autocast():
            after = context.moved(values, True)
        found = iter(torch.autograd.grad(after, wanted, gradients, allow_unused=True))
        return None, None, *(next(found) if asked else None for asked in needed)


def _autocast_at_hand(like: Tensor) -> Callable[[], AbstractContextManager[Any]]:
    device = like.device.type
    enabled, lower = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=lower, enabled=enabled)
