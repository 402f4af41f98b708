"""Augmentation policies by name: single operations, or presets of several, joined by "+"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import UnknownName
from fewshot.transfer.augmentation.mixing import cutmix, mixup
from fewshot.transfer.augmentation.operations import OPERATIONS

MIXES: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {"mixup": mixup, "cutmix": cutmix}
PRESETS = {
    "none": (),
    "light": ("flip", "shift"),
    "geometric": ("flip", "rotation", "shift", "shear", "zoom"),
    "strong": ("crop", "flip", "randaugment", "cutmix"),
}


@dataclass(frozen=True)
class Augmentation:
    """What is done to a batch, in this order; made by [`augmentation`][fewshot.transfer.augmentation.augmentation]."""

    name: str
    steps: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, pixels: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Bytes (B, C, H, W) and targets (B, classes), changed; floats 0..255 after MixUp. The same for equal seeds.

        The program's own random numbers stay as they are.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for step in self.steps:
                if step in MIXES:
                    pixels, targets = MIXES[step](pixels, targets)
                else:
                    pixels = OPERATIONS[step](pixels)
        return pixels, targets


def augmentation(name: str) -> Augmentation:
    """The policy called `name`: a preset, an operation, or several joined by "+" as in "light+mixup".

    Presets: none, light (flip, shift), geometric (flip, rotation, shift, shear, zoom), strong (crop, flip, RandAugment,
    CutMix). MixUp and CutMix, which mix labels too, come last whatever the order. Raises `UnknownName` with near ones.
    """
    steps: list[str] = []
    for part in name.split("+"):
        part = part.strip()
        if part not in PRESETS and part not in OPERATIONS and part not in MIXES:
            raise UnknownName("augmentation", part, list_augmentations())
        steps += PRESETS.get(part, (part,))
    plain = [step for step in dict.fromkeys(steps) if step not in MIXES]
    return Augmentation(name, (*plain, *(step for step in dict.fromkeys(steps) if step in MIXES)))


def list_augmentations() -> list[str]:
    """The names of presets and operations."""
    return [*PRESETS, *OPERATIONS, *MIXES]
