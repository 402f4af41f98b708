"""Tasks in both directions: `Episodes` from a taskset of learn2learn, and a taskset from a sampler of ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fewshot.episodes import Episodes
from fewshot.episodes.pool import pack
from fewshot.episodes.sampler import Sampler
from fewshot.errors import FewshotWarning, InvalidInput, SamplingError

# the transforms of learn2learn that choose, load and number items; any other changes what is loaded
_CHOOSING = {"FilterLabels", "NWays", "KShots", "FusedNWaysKShots", "LoadData", "RemapLabels", "ConsecutiveLabels"}


def episodes_from_taskset(taskset: Any, shots: int, tasks: int | None = None) -> Episodes:
    """Draw tasks from a `learn2learn.data.Taskset`; of each class the first `shots` items are support, the rest query.

    Items are numbers of the data set that the taskset's `LoadData` loads from, and `classes` are its labels, which
    must be whole numbers. Within a task, classes are numbered in the order in which the taskset lists them.
    tasks: how many; may be left out for a taskset of finite length, whose tasks 0, 1, ... these then are.

    Warns of transforms that change images, such as rotations: episodes are numbers and do not carry them.
    Raises `SamplingError` for tasks of unequal shape or with classes too small for `shots`, and `InvalidInput` for
    items drawn twice in a task.
    """
    given = taskset.task_transforms
    transforms = list(given) if isinstance(given, list | tuple) else [given]
    if not transforms:
        raise SamplingError("the taskset has no transforms that choose items; give it NWays and KShots")
    lost = [name for name in map(_name, transforms) if name not in _CHOOSING]
    if lost:
        warnings.warn(f"episodes do not carry what {', '.join(lost)} does to the images", FewshotWarning, stacklevel=2)
    source = next((each.dataset for each in transforms if _name(each) == "LoadData"), taskset.dataset)
    drawn = [_by_class(task, source.indices_to_labels) for task in _descriptions(taskset, tasks)]
    _check_shapes(drawn, shots)
    items = torch.tensor([list(task.values()) for task in drawn])
    classes = torch.tensor([list(task) for task in drawn])
    ways, size = items.shape[1:]
    support = pack("support", items[:, :, :shots], ways * shots)
    query = pack("query", items[:, :, shots:], ways * (size - shots))
    episodes = Episodes(**support, **query, classes=classes, settings={"sampler": "learn2learn"})
    episodes.check()
    return episodes


class SampledTaskset(Dataset[tuple[Tensor, Tensor]]):
    """The tasks of one of our samplers as a taskset of learn2learn's: `sample()`, iteration, indexing, length.

    A task is (data (N, ...), labels (N,)), sorted by class, the support items of a class before its queries, so that
    `learn2learn.data.partition_task` finds our split. Task i of the taskset is task i of the sampler; `sample()` gives
    one after the other. As with learn2learn's own, `num_tasks=-1` means no end, and a length of one.

    inputs (N, ...): what the sampler's item numbers stand for, on any device.
    Raises `InvalidInput` where there are fewer inputs than labelled items, or for a number of tasks that is none.
    """

    def __init__(self, sampler: Sampler, inputs: Tensor, num_tasks: int = -1) -> None:
        if len(inputs) != len(sampler.labels):
            raise InvalidInput(
                f"inputs must hold one for each of the sampler's {len(sampler.labels)} labels, found {len(inputs)}"
            )
        if num_tasks < 1 and num_tasks != -1:
            raise InvalidInput(f"num_tasks must be above zero, or -1 for no end; found {num_tasks}")
        self.sampler, self.inputs, self.num_tasks = sampler, inputs, num_tasks
        self._next = 0

    def sample(self) -> tuple[Tensor, Tensor]:
        """The next task, and the first one again after the last."""
        task = self[self._next]
        self._next = (self._next + 1) % self.num_tasks if self.num_tasks > 0 else self._next + 1
        return task

    def __len__(self) -> int:
        return max(self.num_tasks, 1)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Task number `index`; a taskset without end has them all."""
        if index < 0 or 0 < self.num_tasks <= index:
            raise IndexError(f"there is no task {index} among {self.num_tasks}")
        task = self.sampler.sample(1, index)
        labels = torch.cat([task.support_labels, task.query_labels], 1)[0]
        items = torch.cat([task.support, task.query], 1)[0]
        order = labels.argsort(stable=True)
        order = order[labels[order] >= 0]
        device = self.inputs.device
        return self.inputs[items[order].to(device)], labels[order].to(device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        index = 0
        while index != self.num_tasks:
            yield self[index]
            index += 1


def _name(transform: Any) -> str:
    return getattr(transform, "__name__", type(transform).__name__)


def _descriptions(taskset: Any, tasks: int | None) -> Iterator[Any]:
    """The item lists of new tasks, or of the tasks that a finite taskset keeps."""
    if taskset.num_tasks == -1:
        if tasks is None:
            raise InvalidInput("the taskset has no end (num_tasks=-1); say how many tasks to draw")
        yield from (taskset.sample_task_description() for _ in range(tasks))
        return
    if tasks is not None and tasks > taskset.num_tasks:
        raise SamplingError(f"{tasks} tasks were asked of a taskset of {taskset.num_tasks}")
    kept = taskset.sampled_descriptions
    for index in range(taskset.num_tasks if tasks is None else tasks):
        if index not in kept:
            kept[index] = taskset.sample_task_description()
        yield kept[index]


def _by_class(task: Any, labels: Any) -> dict[int, list[int]]:
    """The item numbers of a task by label, in the order of its description."""
    found: dict[int, list[int]] = {}
    for item in task:
        label = labels[item.index]
        if not isinstance(label, int):
            raise InvalidInput(f"episodes need whole numbers as labels, found {label!r} for item {item.index}")
        found.setdefault(label, []).append(item.index)
    return found


def _check_shapes(drawn: list[dict[int, list[int]]], shots: int) -> None:
    """Raise `SamplingError` unless all classes of all tasks have one size, which leaves queries beside the support."""
    ways, size = len(drawn[0]), len(next(iter(drawn[0].values())))
    for number, task in enumerate(drawn):
        sizes = {len(items) for items in task.values()}
        if len(task) != ways or sizes != {size}:
            raise SamplingError(
                f"task {number} has {len(task)} classes of {', '.join(map(str, sorted(sizes)))} items, task 0 has "
                f"{ways} with {size} in its first; give the taskset NWays and KShots"
            )
    if not 1 <= shots < size:
        raise SamplingError(f"the taskset gives {size} items a class; shots must be 1 to {size - 1}, found {shots}")
