"""Steps repeated for many tasks at once, each until it has settled by itself."""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

COMPRESS_BELOW = 0.8  # of the tasks at hand still moving: the settled ones are then left out of the computation


class OfTasks(Protocol):
    """A tensor, or anything else whose first index is the task."""

    def __getitem__(self, tasks: Tensor, /) -> Self:
        """The part that belongs to these tasks, by number or by a mask."""


Step = Callable[..., tuple[Sequence[Tensor], Tensor]]


def until_settled(
    step: Step, fixed: Sequence[OfTasks], state: Sequence[Tensor], steps: int, tolerance: float, look: int = 1
) -> tuple[list[Tensor], Tensor]:
    """Repeat `state, change = step(*fixed, *state)` at most `steps` times; the last state, and who settled (T,) bool.

    Everything in fixed and state has the task as its first index; change (T,). Every `look` steps the tasks whose
    change is at most `tolerance` are frozen as they are, so a task ends at the same step whatever tasks are beside it,
    and those that need long do not make the others pay.
    """
    fixed, state = list(fixed), list(state)
    final = [part.clone() for part in state]
    tasks = torch.arange(len(final[0]), device=final[0].device)
    moving = torch.ones_like(tasks, dtype=torch.bool)
    settled = ~moving
    for done in range(1, steps + 1):
        new_state, change = step(*fixed, *state)
        state = list(new_state)
        if done % look and done < steps:
            continue
        arrived = moving & (change <= tolerance)
        if not arrived.any():
            continue
        _keep(final, tasks, state, arrived)
        settled[tasks[arrived]] = True
        moving = moving & ~arrived
        left = int(moving.sum())
        if not left:
            return final, settled
        if left < COMPRESS_BELOW * len(tasks):
            fixed, state = [part[moving] for part in fixed], [part[moving] for part in state]
            tasks, moving = tasks[moving], moving[moving]
    _keep(final, tasks, state, moving)
    return final, settled


def _keep(final: list[Tensor], tasks: Tensor, state: list[Tensor], which: Tensor) -> None:
    for whole, part in zip(final, state, strict=True):
        whole[tasks[which]] = part[which]
