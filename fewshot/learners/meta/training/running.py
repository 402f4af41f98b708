"""What the progress bar tells of a training that runs: loss, accuracy and tasks per second, about once a second."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

SECONDS = 1.0  # between two notes: to read a loss is to wait for the device


class RunningNote:
    """Makes a note of the steps since the last one as soon as a second has passed; reads nothing of them before.

    tasks: a step's, over all processes. validation: the accuracy of the last look, if any, which stays in the note.
    """

    def __init__(self, tasks: int, validation: float | None, clock: Callable[[], float] = perf_counter) -> None:
        self.tasks, self.validation, self.clock = tasks, validation, clock
        self._since = clock()
        self._steps: list[tuple[Tensor, Tensor]] = []

    def __call__(self, loss: Tensor, accuracy: Tensor) -> str:
        """Hear of a step, in float32 scalars on any device, and give a note, or "" while it is not yet time for one."""
        self._steps.append((loss, accuracy))
        seconds = self.clock() - self._since
        if seconds < SECONDS:
            return ""
        losses, accuracies = (torch.stack(each) for each in zip(*self._steps, strict=True))
        means: list[float] = torch.stack([losses, accuracies]).mean(1).tolist()
        seconds = self.clock() - self._since  # with what the device had still to do
        told = in_words(means[0], means[1], self.validation, self.tasks * len(self._steps) / seconds)
        self._since, self._steps = self.clock(), []
        return told


def in_words(loss: float, accuracy: float, validation: float | None, tasks_per_second: float) -> str:
    """The numbers as one short line; accuracies are shares."""
    told = f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %"
    if validation is not None:
        told += f", validation {100 * validation:.1f} %"
    return f"{told}, {tasks_per_second:,.0f} tasks/s"
