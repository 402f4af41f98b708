"""The labelled images of a training as bytes in memory, and items that a generator adds to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.meta.training.image_bank import ByteScale, ImageBank

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.datasets import Dataset

# what makes more items: of the images (N, C, H, W) uint8 and labels (N,) at hand, others of the same kind
Generator = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W) uint8 as a network takes them but for the scale, with labels (N,) in [0, classes).

    The last `generated` of them came from a generator and were never photographed.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    scale: ByteScale
    generated: int = 0

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.dtype != torch.uint8:
            raise InvalidInput(
                f"images must be bytes (N, C, H, W), found {tuple(self.pixels.shape)} of {self.pixels.dtype}"
            )
        if len(self.labels) != len(self.pixels):
            raise InvalidInput(f"one label an image is needed, found {len(self.labels)} for {len(self.pixels)}")

    @classmethod
    def load(cls, dataset: Dataset, preprocess: Preprocessing, progress: bool = True) -> LabelledImages:
        """All images of a data set, decoded once; the bytes are kept in the cache for the next time."""
        bank = ImageBank.load(dataset, preprocess, torch.device("cpu"), progress=progress)
        return cls(bank.pixels, dataset.labels, dataset.class_names, bank.scale)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, items: Tensor) -> LabelledImages:
        """Some of them, by number; classes stay as they are."""
        return replace(self, pixels=self.pixels[items], labels=self.labels[items], generated=0)

    def floats(self, pixels: Tensor) -> Tensor:
        """Bytes or floats 0..255 (B, C, H, W) as the network takes them, channels last in memory."""
        return self.scale.to_floats(pixels).contiguous(memory_format=torch.channels_last)

    def scaled_for(self, preprocess: Preprocessing) -> LabelledImages:
        """The same bytes, scaled as the network of this preprocessing takes them."""
        return replace(self, scale=ByteScale.of(preprocess))

    def with_generated(self, generate: Generator) -> LabelledImages:
        """These, and the items that `generate(pixels, labels)` makes of them, counted in `generated`.

        Raises `InvalidInput` for items of another shape or type, or of classes that are not there.
        """
        pixels, labels = generate(self.pixels, self.labels)
        shape = tuple(self.pixels.shape[1:])
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != shape or len(pixels) != len(labels):
            raise InvalidInput(
                f"a generator must give bytes (M, {', '.join(map(str, shape))}) and M labels, found "
                f"{tuple(pixels.shape)} of {pixels.dtype} and {len(labels)} labels"
            )
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.class_names):
            raise InvalidInput(
                f"generated labels must lie in 0..{len(self.class_names) - 1}, found {int(labels.min())}.."
                f"{int(labels.max())}"
            )
        return replace(
            self,
            pixels=torch.cat([self.pixels, pixels]),
            labels=torch.cat([self.labels, labels.long()]),
            generated=self.generated + len(labels),
        )
