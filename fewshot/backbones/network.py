"""What a source hands over for one model: the module, its weights and the way to prepare an image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor, nn

from fewshot.backbones.layers import pool_maps


@dataclass(frozen=True)
class Preprocessing:
    """From a PIL image to a float32 tensor (C, H, W), as the weights were trained; picklable, so workers can decode.

    `settings` says in JSON what `transform` does (size, resize, interpolation, mean, std) and is part of the
    fingerprint. `image_size` is the side of the square in pixels, `channels` are 3, or 1 for shades of grey.
    """

    transform: Callable[[Image.Image], Tensor]
    image_size: int
    settings: dict[str, Any]
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a prepared image."""
        return self.channels, self.image_size, self.image_size

    def __call__(self, image: Image.Image) -> Tensor:
        """Prepare one image of any mode; it is converted to RGB."""
        return self.transform(image.convert("RGB"))


@dataclass
class Network:
    """A model that gives features, and all that travels with it.

    `module` maps images (B, 3, H, W) to features (B, D), float32, on the CPU, without its classifier. `weights` says
    where they come from, `architecture` is the name without the choice of weights (by default the name asked for).
    `head` is the classifier taken off (features to logits) where it is a single layer, and `unused` are the prefixes
    of the checkpoint keys that `module` does without, such as those of the classifier.
    `joint` is the whole image-text model if there is one. `pool` turns the output of one layer into (B, C);
    `intermediates` names the maps of a module that has timm's `forward_intermediates`.
    """

    module: nn.Module
    preprocess: Preprocessing
    weights: str
    architecture: str = ""
    head: nn.Module | None = None
    unused: tuple[str, ...] = ()
    joint: nn.Module | None = None
    pool: Callable[[Tensor], Tensor] = pool_maps
    intermediates: tuple[str, ...] | None = None
