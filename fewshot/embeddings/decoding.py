"""Worker processes that decode and preprocess images ahead of the backbone."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from fewshot.errors import BrokenImages

Preprocess = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Batch:
    """Decoded images (B, 3, H, W), the rows they belong to, and the rows that could not be decoded."""

    images: Tensor
    rows: Tensor
    broken: tuple[int, ...]


class ByRow(Protocol):
    """Images by row number: a data set's `Images`, or a list."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int, /) -> Image.Image: ...


class _Decoded:
    """A map-style view: row -> preprocessed image, or None where the image is broken."""

    def __init__(self, images: ByRow, preprocess: Preprocess) -> None:
        self.images, self.preprocess = images, preprocess

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[int, Tensor | None]:
        try:
            image = self.images[row]
        except BrokenImages:
            return row, None
        return row, self.preprocess(image)


def _collate(items: list[tuple[int, Tensor | None]]) -> Batch:
    whole = [(row, image) for row, image in items if image is not None]
    return Batch(
        images=torch.stack([image for _, image in whole]) if whole else torch.empty(0),
        rows=torch.tensor([row for row, _ in whole], dtype=torch.int64),
        broken=tuple(row for row, image in items if image is None),
    )


def decoded_batches(
    images: ByRow, preprocess: Preprocess, batch_size: int, workers: int, start: int = 0
) -> Iterator[Batch]:
    """Batches of preprocessed images from row `start` on, in order; `workers=0` decodes in this process.

    `images[row]` gives a PIL image or raises `BrokenImages`.
    """
    rows = range(start, len(images))
    loader: DataLoader = DataLoader(
        _Decoded(images, preprocess),  # type: ignore[arg-type]
        batch_sampler=[list(rows[at : at + batch_size]) for at in range(0, len(rows), batch_size)],
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=2 if workers else None,
    )
    yield from loader


def worker_count(items: int, batch_size: int) -> int:
    """Workers worth starting: one a core but no more than batches, none for a handful of images."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    batches = -(-items // batch_size)
    return 0 if batches < 3 else min(cores, batches, 16)
