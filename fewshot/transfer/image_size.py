"""A backbone at another image size: small images take a fraction of the time, and the features say so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.fingerprint import fingerprint

if TYPE_CHECKING:
    from fewshot.backbones import Backbone


def at_size(backbone: Backbone, side: int) -> Backbone:
    """The same network, sharing its weights, over images resized to `side` x `side` pixels.

    Its fingerprint is one of its own, so that features of different sizes never mix. Raises `InvalidInput` for a side
    below 32, for drawings, and for a preprocessing without mean and standard deviation.
    """
    from fewshot.backbones import Preprocessing

    settings = backbone.preprocess.settings
    if side < 32:
        raise InvalidInput(f"images must be 32 pixels or larger on a side, found {side}")
    if not {"mean", "std"} <= settings.keys() or backbone.preprocess.channels != 3:
        raise InvalidInput(f"{backbone.name} prepares images in a way of its own; leave its image size as it is")
    try:
        from torchvision import transforms
    except ImportError:
        raise MissingPackage("torchvision", "another image size") from None
    resize = transforms.Resize((side, side), transforms.InterpolationMode.BICUBIC)
    normalise = transforms.Normalize(list(settings["mean"]), list(settings["std"]))
    told = {"resize": [side, side], "interpolation": "bicubic", "mean": settings["mean"], "std": settings["std"]}
    small = copy.copy(backbone)
    small.preprocess = Preprocessing(transforms.Compose([resize, transforms.ToTensor(), normalise]), side, told)
    small.image_size = side
    small.fingerprint = fingerprint(backbone.fingerprint, told)
    return small
