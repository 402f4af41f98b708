"""What the steps of a stage start from: images, or the maps that the frozen prefix gave for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fewshot.transfer.finetuning.images import LabelledImages
from fewshot.transfer.finetuning.prefix import FrozenPrefix


class StageInputs:
    """The images of a stage, or the maps that its frozen prefix gave for them."""

    def __init__(
        self, images: LabelledImages, trunk: nn.Module, prefix: FrozenPrefix | None, device: torch.device
    ) -> None:
        self.images, self.trunk, self.prefix, self.device = images, trunk, prefix, device
        self.maps: Tensor | None = None
        if prefix is not None:
            self.maps = prefix.all_maps(lambda first, last: self._floats(slice(first, last)), len(images))

    def features(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Images, or blanks in their place, and the features (B, D) of these items."""
        if self.prefix is None or self.maps is None:
            images = self._floats(items)
            return images, self.trunk(images)
        maps = self.maps[items.to(self.maps.device)]
        return self.prefix.blank(len(maps), maps), self.prefix.from_maps(maps)

    def _floats(self, items: Tensor | slice) -> Tensor:
        return self.images.floats(self.images.pixels[items].to(self.device))
