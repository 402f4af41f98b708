"""Episodes: which items each few-shot task is made of, as integers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from fewshot.episodes.randomness import Randomness
from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.files import whole_file
from fewshot.fingerprint import fingerprint

FORMAT = {"format": "fewshot.Episodes", "version": "1"}
DISTRACTOR = -2


class Described(Protocol):
    """What `Episodes.describe` asks of a table or a data set: `ids`, a name an item, and `class_names`, one a class."""

    @property
    def ids(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def class_names(self) -> Sequence[str]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Episodes:
    """T few-shot tasks over the items of one table; all tensors int64, -1 pads tasks of unequal size.

    support (T, S), query (T, Q): item numbers; an item is in at most one place of a task.
    support_labels (T, S), query_labels (T, Q): the class within the task, in [0, ways).
    classes (T, W): the table's label of each class within the task.
    query_classes (T, A), or None: the label of each class asked for, where these are not the support's (base-to-new);
    query_labels are then in [0, A).
    unlabelled (T, U), unlabelled_labels (T, U), or None: further items whose labels a learner must not see; the label
    is -2 for an item of a distractor class.
    validation (T, V), validation_labels (T, V), or None: further labelled items, for choosing settings only.
    settings: how they were drawn (sampler, its arguments, seed, start, fingerprint of the labels); slicing keeps it.
    """

    support: Tensor
    query: Tensor
    support_labels: Tensor
    query_labels: Tensor
    classes: Tensor
    unlabelled: Tensor | None = None
    unlabelled_labels: Tensor | None = None
    validation: Tensor | None = None
    validation_labels: Tensor | None = None
    query_classes: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("unlabelled", "validation"):
            if (getattr(self, name) is None) != (getattr(self, f"{name}_labels") is None):
                raise InvalidInput(f"{name} and {name}_labels must be given together; found only one of them")
        for name, tensor in self._tensors().items():
            if tensor.dtype != torch.int64 or tensor.ndim != 2 or len(tensor) != len(self.support):
                raise InvalidInput(
                    f"{name} must be int64 of shape ({len(self.support)} tasks, items), "
                    f"found {str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
                )
        for name, items, labels in self._parts():
            if items.shape != labels.shape:
                raise InvalidInput(
                    f"{name} and {name}_labels must have one shape, "
                    f"found {tuple(items.shape)} and {tuple(labels.shape)}"
                )

    def __len__(self) -> int:
        return len(self.support)

    def __getitem__(self, index: int | slice) -> "Episodes":
        """The tasks of a slice; an integer gives Episodes of that one task. Shapes keep their padding."""
        if isinstance(index, int):
            position = range(len(self))[index]
            index = slice(position, position + 1)
        return replace(self, **{name: tensor[index] for name, tensor in self._tensors().items()})

    def __iter__(self) -> Iterator["Episodes"]:
        return (self[i] for i in range(len(self)))

    @property
    def ways(self) -> int:
        """Classes of a task, of the widest one where tasks differ."""
        return self.classes.shape[1]

    @property
    def asked(self) -> Tensor:
        """The table's label of each class that the queries may be of: `query_classes`, or else `classes`."""
        return self.classes if self.query_classes is None else self.query_classes

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same items, labels and classes in the same order; settings do not count."""
        return fingerprint(*(part for pair in self._tensors().items() for part in pair))

    def to(self, device: str | torch.device) -> "Episodes":
        """The same tasks on another device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in self._tensors().items()})

    def as_stream(self, seed: int = 0) -> "Episodes":
        """The same tasks, with the queries, and validation items, of each in an order drawn from `seed`.

        Samplers may give them class after class, which a learner that reads them one by one would take for a hint.
        Padding stays last.
        """
        random = Randomness(seed, torch.arange(len(self)))
        changed = self._tensors()
        for name, items, within in self._parts():
            if name in ("query", "validation"):
                places = random.uniform(f"order of {name}", items.shape[1]).to(items.device)
                order = (places + (items < 0)).argsort(dim=1)
                changed |= {name: items.gather(1, order), f"{name}_labels": within.gather(1, order)}
        return replace(self, **changed)

    def trim(self) -> "Episodes":
        """Cut the item columns that are padding in every task; what a slice of unequal tasks can do without."""
        cut = {
            name: tensor if name.endswith("classes") else tensor[:, (tensor != -1).any(0)]
            for name, tensor in self._tensors().items()
        }
        return replace(self, **cut)

    def check(self, labels: Tensor | None = None) -> None:
        """Raise `InvalidInput` naming the first task that breaks what the class promises.

        With `labels` (N,) of the table, also that every item exists and is of the class it is said to be.
        """
        for name, items, within in self._parts():
            lowest = DISTRACTOR if name == "unlabelled" else 0
            fair = (within >= lowest) & (within < self._classes_of(name).shape[1]) & (within != -1) & (items >= 0)
            self._refuse(~(fair | ((items == -1) & (within == -1))), f"{name} holds an item or label out of range")
        for classes in (self.classes, self.asked):
            drawn = classes.sort(dim=1).values
            self._refuse((drawn[:, 1:] == drawn[:, :-1]) & (drawn[:, 1:] >= 0), "a class is drawn twice")
        every = torch.cat([items for _, items, _ in self._parts()], dim=1).sort(dim=1).values
        self._refuse((every[:, 1:] == every[:, :-1]) & (every[:, 1:] >= 0), "an item is in two places")
        if labels is None:
            return
        for name, items, within in self._parts():
            self._refuse(items >= len(labels), f"{name} holds an item beyond the {len(labels)} of the table")
            actual = labels.to(items.device)[items.clamp(min=0)]
            right = actual == self._classes_of(name).gather(1, within.clamp(min=0))
            if name == "unlabelled":
                foreign = (actual.unsqueeze(-1) != self.classes.unsqueeze(1)).all(-1)
                right = torch.where(within == DISTRACTOR, foreign, right)
            self._refuse((items >= 0) & ~right, f"{name} holds an item of another class than its label says")

    def check_same_classes(self) -> None:
        """Raise `InvalidInput` where queries are of other classes than the support, for who can't answer these."""
        if self.query_classes is not None:
            raise InvalidInput(
                "these episodes ask for other classes than their support has, and only words tell these: use "
                "evaluate(…, words=…)"
            )

    def describe(self, index: int, table: Described) -> dict[str, Any]:
        """What task `index` drew, as plain data: a list of classes, each with its label, name and items by part.

        Items are (number, id) pairs of `table`, anything with `ids` and `class_names`. The items of distractor
        classes stand under "distractors", and queries of other classes than the support's, with these, under "asked".
        """
        task = self[index]
        parts = [(name, items[0].tolist(), within[0].tolist()) for name, items, within in task._parts()]

        def members(items: list[int], within: list[int], label: int) -> list[tuple[int, str]]:
            return [(item, table.ids[item]) for item, own in zip(items, within, strict=True) if own == label]

        def drawn(classes: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
            """Each class with its items in the parts called so."""
            told = [part for part in parts if part[0] in names]
            return [
                {"label": label, "name": table.class_names[label]}
                | {name: members(items, within, position) for name, items, within in told}
                for position, label in enumerate(classes[0].tolist())
                if label >= 0
            ]

        every = [name for name, _, _ in parts]
        distractors = [pair for _, items, within in parts for pair in members(items, within, DISTRACTOR)]
        if task.query_classes is None:
            return {"classes": drawn(task.classes, every), "distractors": distractors}
        learned = drawn(task.classes, [name for name in every if name != "query"])
        return {"classes": learned, "asked": drawn(task.query_classes, ["query"]), "distractors": distractors}

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all, with the settings as JSON in its header."""
        from safetensors.torch import save_file

        tensors = {name: tensor.cpu().contiguous() for name, tensor in self._tensors().items()}
        with whole_file(path) as beside:
            save_file(tensors, beside, metadata={**FORMAT, "settings": json.dumps(self.settings, sort_keys=True)})

    @classmethod
    def load(cls, path: str | Path) -> "Episodes":
        """Read what `save` wrote; a missing, damaged or foreign file raises `UnreadableFile` naming it."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if {key: header.get(key) for key in FORMAT} != FORMAT:
                    raise UnreadableFile(f"{path} holds no episodes of version {FORMAT['version']}; draw them again")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            episodes = cls(**tensors, settings=json.loads(header["settings"]))
            episodes.check()
        except FileNotFoundError:
            raise UnreadableFile(f"{path} does not exist") from None
        except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
            raise UnreadableFile(f"{path} is damaged or no file of episodes ({error}); draw them again") from None
        return episodes

    def _tensors(self) -> dict[str, Any]:
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "settings"}
        return {name: value for name, value in values.items() if value is not None}

    def _parts(self) -> list[tuple[str, Tensor, Tensor]]:
        tensors = self._tensors()
        parts = ("support", "query", "unlabelled", "validation")
        return [(part, tensors[part], tensors[f"{part}_labels"]) for part in parts if part in tensors]

    def _classes_of(self, part: str) -> Tensor:
        """The classes (T, W) that the labels of a part number."""
        return self.asked if part == "query" else self.classes

    def _refuse(self, wrong: Tensor, reason: str) -> None:
        tasks = wrong.any(1).nonzero()
        if len(tasks):
            raise InvalidInput(f"task {tasks[0].item()}: {reason}; {len(tasks)} of {len(self)} tasks are like that")
