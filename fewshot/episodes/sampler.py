"""What all samplers share: labels, groups and classes at the door, and drawing many tasks chunk by chunk."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fewshot.episodes import checks
from fewshot.episodes.episodes import Episodes
from fewshot.episodes.pool import Pool
from fewshot.episodes.randomness import Randomness
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint

CHUNK_ITEMS = 2**17  # items drawn at once: bounds the working memory to tens of MB, and suits the cache


class Sampler(ABC):
    """Draws episodes from the labels of a table. A subclass is a dataclass with these fields and a `_draw`.

    Task t depends on the arguments and t alone: `sample(600)[:100]` equals `sample(100)`, and the processes of a
    distributed run draw disjoint tasks with `start`. Draws are equal on all machines, as far as these agree on the
    last bit of exp and log where a draw uses them (imbalance, nearness, shots of Meta-Dataset).
    """

    labels: Tensor
    seed: int
    groups: Any
    class_names: Sequence[str] | None
    strict: bool

    def sample(self, tasks: int, start: int = 0) -> Episodes:
        """The tasks number start, ..., start + tasks - 1, on the CPU."""
        checks.whole_number("tasks", tasks, 1)
        checks.whole_number("start", start, 0)
        stop, step = start + tasks, max(1, CHUNK_ITEMS // self._items_a_task)
        chunks = [
            self._draw(Randomness(self.seed, torch.arange(first, min(first + step, stop))))
            for first in range(start, stop, step)
        ]
        tensors = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
        return Episodes(**tensors, settings={**self.settings, "start": start, "tasks": tasks})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The sampler's name and arguments as plain data; a tensor is told by its fingerprint."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        del values["class_names"], values["strict"]
        return {"sampler": type(self).__name__} | {name: _plain(value) for name, value in values.items()}

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.settings.items() if value is not None)
        return f"<{told.removeprefix('sampler=')}>"

    @abstractmethod
    def _draw(self, random: Randomness) -> dict[str, Tensor]:
        """The tensors of the tasks that `random` stands for."""

    _items_a_task: int

    def _read_labels(self) -> None:
        """Check what all samplers take; number the classes present 0..C-1."""
        checks.whole_number("seed", self.seed, 0)
        if self.seed >= 2**63:
            raise InvalidInput(f"seed must be below 2^63, found {self.seed}")
        self.labels = checks.codes("labels", self.labels)
        self._classes, self._codes = self.labels.unique(return_inverse=True)
        names = self.class_names
        if names is not None and len(names) <= int(self._classes[-1]):
            raise InvalidInput(
                f"class_names must name every label up to {int(self._classes[-1])}, found {len(names)} names"
            )
        self._names = [str(label) if names is None else repr(names[label]) for label in self._classes.tolist()]

    def _keep_classes(self, keep: Tensor, least: int) -> None:
        """Pool the classes of the mask `keep` by group; without `groups` all are one group. Keep groups of `least`."""
        if self.groups is None:
            self._class_pool = Pool(torch.zeros_like(self._classes), 1, keep)
            self._large_groups = torch.tensor([0])
            return
        codes, group = self._group_of_class().unique(return_inverse=True)
        self._class_pool = Pool(group, len(codes), keep)
        names = getattr(self.groups, "names", None)
        named = [str(code) if names is None else repr(names[code]) for code in codes.tolist()]
        large = checks.leave_out_small("groups", [(self._class_pool.sizes, least, "classes")], 1, named, self.strict)
        self._large_groups = large.nonzero().squeeze(1)

    def _group_of_class(self) -> Tensor:
        codes = checks.codes("groups", self.groups, len(self.labels))
        first = torch.zeros_like(self._classes).scatter(0, self._codes, codes)
        stray = (codes != first[self._codes]).nonzero()
        if len(stray):
            name = self._names[int(self._codes[stray[0, 0]])]
            raise InvalidInput(f"groups must hold whole classes, found items of class {name} in more than one group")
        return first

    def _choose_group(self, random: Randomness) -> Tensor:
        """One of the groups large enough for each task, uniformly, (T,)."""
        return self._large_groups[random.below("group", torch.tensor(len(self._large_groups)))]

    def _choose_classes(self, random: Randomness, group: Tensor, ways: Tensor) -> Tensor:
        """Different classes of a group in random order, (T, ways.max()), -1 pads."""
        return self._class_pool.draw(random, "classes", group.unsqueeze(1), ways.unsqueeze(1)).squeeze(1)

    def _labels_of(self, classes: Tensor, width: int) -> Tensor:
        """The table's labels of numbered classes, -1 staying -1, padded to (T, width)."""
        labels = self._classes[classes.clamp(min=0)].masked_fill(classes < 0, -1)
        return torch.nn.functional.pad(labels, (0, width - labels.shape[1]), value=-1)


def _plain(value: Any) -> Any:
    value = getattr(value, "codes", value)
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, int | float | str) else fingerprint(torch.as_tensor(value).cpu())
