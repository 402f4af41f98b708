"""The single changes of an augmentation, of whole batches of images, by torchvision's v2 transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import MissingPackage

Operation = Callable[[Tensor], Tensor]  # bytes (B, C, H, W) to bytes

_TURN = 15  # degrees
_SHIFT = 0.1  # of the side
_SHEAR = 10  # degrees
_ZOOM = (0.8, 1.2)


def rotation(pixels: Tensor) -> Tensor:
    """Each image turned by up to 15 degrees either way."""
    return _one_by_one(_v2().RandomRotation(_TURN, _bilinear()), pixels)


def shift(pixels: Tensor) -> Tensor:
    """Each image moved by up to a tenth of its side."""
    return _one_by_one(_v2().RandomAffine(0, translate=(_SHIFT, _SHIFT)), pixels)


def shear(pixels: Tensor) -> Tensor:
    """Each image sheared by up to 10 degrees either way."""
    return _one_by_one(_v2().RandomAffine(0, shear=_SHEAR, interpolation=_bilinear()), pixels)


def zoom(pixels: Tensor) -> Tensor:
    """Each image made smaller or larger by up to a fifth."""
    return _one_by_one(_v2().RandomAffine(0, scale=_ZOOM, interpolation=_bilinear()), pixels)


def flip(pixels: Tensor) -> Tensor:
    """Each image mirrored left and right, one time in two."""
    flipped = torch.rand(len(pixels)) < 0.5
    return torch.where(flipped[:, None, None, None].to(pixels.device), pixels.flip(-1), pixels)


def crop(pixels: Tensor) -> Tensor:
    """Each image a part of itself, from a third of its area on, made as large as before."""
    side = pixels.shape[-2:]
    return _one_by_one(_v2().RandomResizedCrop(side, scale=(1 / 3, 1.0), antialias=True), pixels)


def colour(pixels: Tensor) -> Tensor:
    """Brightness, contrast and saturation of each image changed by up to 40 %."""
    return _one_by_one(_v2().ColorJitter(0.4, 0.4, 0.4 if pixels.shape[1] == 3 else 0.0), pixels)


def randaugment(pixels: Tensor) -> Tensor:
    """Two random operations of strength 9 on each image (Cubuk et al. 2020, RandAugment, arXiv:1909.13719)."""
    return _one_by_one(_v2().RandAugment(num_ops=2, magnitude=9), pixels)


OPERATIONS: dict[str, Operation] = {
    "rotation": rotation,
    "shift": shift,
    "shear": shear,
    "zoom": zoom,
    "flip": flip,
    "crop": crop,
    "colour": colour,
    "randaugment": randaugment,
}


def _one_by_one(transform: Operation, pixels: Tensor) -> Tensor:
    """A transform draws once for all that it is given, so each image is given alone."""
    return torch.stack([transform(image) for image in pixels]) if len(pixels) else pixels


def _v2() -> Any:
    try:
        from torchvision.transforms import v2
    except ImportError:
        raise MissingPackage("torchvision", "augmentation") from None
    return v2


def _bilinear() -> Any:
    return _v2().InterpolationMode.BILINEAR
