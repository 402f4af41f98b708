"""A part of a data set that has the same few images of every class, for a quick look."""

from __future__ import annotations

import torch

from fewshot.datasets import Dataset
from fewshot.errors import InvalidInput


def some_of_each(dataset: Dataset, images: int, classes: int | None = None, seed: int = 0) -> Dataset:
    """At most `images` of each class, drawn by `seed`, and at most `classes` classes; the rest is left out.

    Classes and images keep their order. Raises `InvalidInput` for a number below 1.
    """
    if images < 1 or (classes is not None and classes < 1):
        raise InvalidInput(f"images and classes must be 1 or more, found {images} and {classes}")
    generator = torch.Generator().manual_seed(seed)
    count = len(dataset.class_names)
    if classes is not None and classes < count:
        kept = torch.randperm(count, generator=generator)[:classes].sort().values
        dataset = dataset.select(classes=kept.tolist())
    order = torch.randperm(len(dataset), generator=generator)
    dealt = order[dataset.labels[order].argsort(stable=True)]
    starts = dataset.class_counts.cumsum(0) - dataset.class_counts
    place = torch.arange(len(dealt)) - starts[dataset.labels[dealt]]
    return dataset.select(dealt[place < images].sort().values)
