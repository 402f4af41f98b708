"""Draws of a support from one split, each tested on the whole of another: how adaptation of CLIP is evaluated."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from fewshot.episodes import checks
from fewshot.episodes.pool import Pool, pack
from fewshot.episodes.randomness import Randomness
from fewshot.episodes.sampler import Sampler
from fewshot.errors import InvalidInput, SamplingError


@dataclass(eq=False, repr=False)
class SplitSampler(Sampler):
    """Tasks over all classes: a support of `shots` items a class from the pool, and every test item as a query.

    Classes stand in the order of their labels in every task, and only the draw of the support differs between tasks. A
    class whose pool is too small, or that has no test item, is left out with a warning, or raises `SamplingError` if
    `strict`; one that is in neither part is none of the task's. With `new`, the queries are of classes that the pool
    has none of.

    labels: the class of each item, integers (N,).
    pool: (N,) bool, true for the items that supports are drawn from; test: the same for the queries. No item may be in
        both. The pool may be empty where nothing is drawn from it.
    validation: further labelled items a class from the pool, apart from the support, for choosing settings; or "rest":
        all of the pool that is not in the support.
    new: ask for other classes than are learned: those of the pool and those of the test may not meet.
    class_names: names for messages; without them classes are called by label.
    """

    labels: Any
    pool: Any
    test: Any
    shots: int = 1
    validation: int | Literal["rest"] = 0
    seed: int = 0
    _: KW_ONLY
    new: bool = False
    groups: None = None
    class_names: Sequence[str] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        checks.whole_number("shots", self.shots, 0)
        if self.validation != "rest":
            checks.whole_number("validation", self.validation, 0)
        self._read_labels()
        pool, test = (self._mask(name) for name in ("pool", "test"))
        if (pool & test).any():
            both = int((pool & test).nonzero()[0])
            raise InvalidInput(f"item {both} is in the pool and in the test; what is tested must never be learned from")
        classes = len(self._classes)
        self._pool, tested = Pool(self._codes, classes, pool), Pool(self._codes, classes, test)
        needed = self.shots + (self.validation if self.validation != "rest" else 0)
        in_pool, in_test = (self._pool.sizes, needed, "pool"), (tested.sizes, 1, "test")
        if self.new:
            self._check_apart(tested.sizes)
            self._drawn, asked = self._large_enough(in_pool), self._large_enough(in_test)
        else:
            self._drawn = asked = self._large_enough(in_pool, in_test)
        rows = torch.full((classes,), -1)
        rows[asked] = torch.arange(len(asked))
        self._asked = asked
        self._query = (test & (rows[self._codes] >= 0)).nonzero().squeeze(1)
        self._query_labels = rows[self._codes[self._query]]
        self._items_a_task = int(self._pool.sizes.sum()) + len(self._query)

    def _check_apart(self, tested: Tensor) -> None:
        both = ((self._pool.sizes > 0) & (tested > 0)).nonzero()
        if len(both):
            name = self._names[int(both[0, 0])]
            raise InvalidInput(f"class {name} is in the pool and in the test; with new=True, classes may not meet")

    def _large_enough(self, *asks: tuple[Tensor, int, str]) -> Tensor:
        """The classes, by number, that have what is asked: how many there are (C,), are needed, and of which part."""
        numbers = torch.stack([found for found, _, _ in asks]).any(0).nonzero().squeeze(1)
        counted = [(found[numbers], needed, f"items in the {part}") for found, needed, part in asks]
        names = [self._names[number] for number in numbers.tolist()]
        return numbers[checks.leave_out_small("classes", counted, 2, names, self.strict)]

    def _draw(self, random: Randomness) -> dict[str, Tensor]:
        tasks, ways = len(random.tasks), len(self._drawn)
        rows = self._drawn.expand(tasks, ways)
        shots = torch.full((tasks, ways), self.shots)
        rest = self._pool.sizes[self._drawn].expand(tasks, ways) - self.shots
        held = rest if self.validation == "rest" else torch.full((tasks, ways), int(self.validation))
        support, validation = self._pool.deal(random, "items", rows, shots, held)
        drawn = pack("support", support, ways * self.shots)
        if self.validation:
            drawn |= pack("validation", validation, int(held[0].sum()))
        drawn |= {
            "query": self._query.repeat(tasks, 1),
            "query_labels": self._query_labels.repeat(tasks, 1),
            "classes": self._classes[rows],
        }
        return drawn | ({"query_classes": self._classes[self._asked.expand(tasks, -1)]} if self.new else {})

    def _mask(self, name: str) -> Tensor:
        mask = torch.as_tensor(getattr(self, name))
        if mask.shape != self.labels.shape or mask.dtype != torch.bool:
            raise InvalidInput(f"{name} must be bool of shape {tuple(self.labels.shape)}, found {mask.dtype} of shape "
                               f"{tuple(mask.shape)}")  # fmt: skip
        if not mask.any() and (name == "test" or self.shots or self.validation):
            raise SamplingError(f"no item is in the {name}; supports come from the pool and queries from the test")
        return mask
