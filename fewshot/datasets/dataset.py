"""Labelled images: the pictures, their labels and class names, stable ids, and named groupings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images, SelectedImages
from fewshot.datasets.selection import select_items
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint

Splits = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled images, also usable as a map-style data set of torch: `dataset[i]` is `(RGB picture, label)`.

    `labels` (N,) int64 are indices into `class_names`; `ids` are unique and the same on every machine, with `/` between
    folders; `groups` are further partitions of the items; `splits` are the class splits known of the whole data set, as
    {scheme: {split: class names}}; `class_descriptions` maps class names to a sentence.

    Raises `InvalidInput` where lengths, labels or ids do not agree.
    """

    name: str
    images: Images
    labels: Tensor
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    split: str = "all"
    groups: dict[str, Grouping] = field(default_factory=dict)
    splits: Splits = field(default_factory=dict)
    class_descriptions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", torch.as_tensor(self.labels, dtype=torch.int64))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "ids", tuple(self.ids))
        self._check()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        index = range(len(self))[index]
        return self.images[index], int(self.labels[index])

    def __iter__(self) -> Iterator[tuple[Image.Image, int]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        groups = f", groups {', '.join(self.groups)}" if self.groups else ""
        return f"<Dataset {self.name} ({self.split}): {len(self)} images of {len(self.class_names)} classes{groups}>"

    @property
    def class_counts(self) -> Tensor:
        """(classes,) int64: the number of images of each class."""
        return torch.bincount(self.labels, minlength=len(self.class_names))

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of the content: pictures, ids, labels, class names and groups, not the name."""
        groups = {key: [group.codes.tolist(), group.names] for key, group in sorted(self.groups.items())}
        return fingerprint(self.images.digests(), self.ids, self.labels, self.class_names, groups)

    def select(
        self,
        indices: Tensor | Sequence[int] | None = None,
        classes: str | Sequence[str] | Sequence[int] | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
    ) -> "Dataset":
        """The items that meet every condition given.

        `indices`: int64 (in that order) or a (N,) bool mask. `where`: group names to the value or values wanted, as in
        `where={"domain": "photo"}`. These two leave `class_names` and labels as they are. `classes`: names or indices;
        the result has just these classes, numbered in the order given, and no `splits` any more.

        Raises `UnknownName` for a class, group or value that is not there, `InvalidInput` for a bad index.
        """
        chosen = select_items(self, indices, classes, where)
        places = chosen.indices.tolist()
        return replace(
            self,
            images=SelectedImages(self.images, places),
            labels=chosen.labels,
            class_names=chosen.class_names,
            ids=tuple(self.ids[place] for place in places),
            groups={key: group.select(chosen.indices) for key, group in self.groups.items()},
            splits=self.splits if classes is None else {},
        )

    def _check(self) -> None:
        sizes = {"images": len(self.images), "labels": len(self.labels), "ids": len(self.ids)}
        sizes |= {f"group {key!r}": len(group) for key, group in self.groups.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{count} for {what}" for what, count in sizes.items())
            raise InvalidInput(f"{self.name}: one entry an item is needed everywhere; found {listed}")
        lowest, highest = (int(self.labels.min()), int(self.labels.max())) if len(self) else (0, -1)
        if lowest < 0 or highest >= len(self.class_names):
            wanted = f"0..{len(self.class_names) - 1}"
            raise InvalidInput(f"{self.name}: labels must lie in {wanted}; found {lowest}..{highest}")
        for what, names in (("class names", self.class_names), ("ids", self.ids)):
            if len(set(names)) < len(names):
                twice = Counter(names).most_common(1)[0][0]
                raise InvalidInput(f"{self.name}: {what} must differ; {twice!r} is there more than once")
