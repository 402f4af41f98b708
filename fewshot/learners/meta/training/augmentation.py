"""Augmentation of whole batches of tasks where they lie: crops, flips and jitter, drawn by (seed, task) alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fewshot.episodes.randomness import Randomness
from fewshot.errors import InvalidInput

_PADDING = 1 / 8  # of the side, as 4 pixels of 32
_JITTER = 0.4  # brightness, contrast and colour change by up to this share


def augment(pixels: Tensor, random: Randomness, steps: Sequence[str]) -> Tensor:
    """Images (T, N, C, H, W) of bytes, each changed by every step named, as float 0..255 or bytes.

    "crop" shifts by up to an eighth of the side, with the border repeated; "flip" mirrors left and right, one time in
    two; "jitter" changes brightness, contrast and colour by up to 40 % (Chen et al. 2019, A closer look at few-shot
    classification, use these three).
    """
    for name in steps:
        pixels = STEPS[name](pixels, random)
    return pixels


def check_steps(steps: Sequence[str]) -> None:
    """Raise `InvalidInput` for a step that does not exist."""
    for name in steps:
        if name not in STEPS:
            raise InvalidInput(f"there is no augmentation {name!r}; choose among {', '.join(STEPS)}")


def _crop(pixels: Tensor, random: Randomness) -> Tensor:
    height, width = pixels.shape[-2:]
    shifts = random.uniform("crop", pixels.shape[1], 2).flatten(0, 1)
    rows = _shifted(height, shifts[:, 0]).to(pixels.device)
    columns = _shifted(width, shifts[:, 1]).to(pixels.device)
    flat = pixels.flatten(0, 1)
    image = torch.arange(len(flat), device=pixels.device)[:, None, None]
    moved = flat.movedim(1, -1)[image, rows[:, :, None], columns[:, None, :]]
    return moved.movedim(-1, 1).unflatten(0, pixels.shape[:2])


def _shifted(side: int, share: Tensor) -> Tensor:
    """Positions (B, side) of a line that is moved by up to an eighth of its length and stops at its ends."""
    reach = round(side * _PADDING)
    offset = (share * (2 * reach + 1)).long() - reach
    return (torch.arange(side) + offset[:, None]).clamp(0, side - 1)


def _flip(pixels: Tensor, random: Randomness) -> Tensor:
    flipped = (random.uniform("flip", pixels.shape[1]) < 0.5).to(pixels.device)
    return torch.where(flipped[..., None, None, None], pixels.flip(-1), pixels)


def _jitter(pixels: Tensor, random: Randomness) -> Tensor:
    draws = random.uniform("jitter", pixels.shape[1], 3).to(pixels.device, torch.float32)
    brightness, contrast, colour = (1 + _JITTER * (2 * draws - 1))[..., None, None, None, :].unbind(-1)
    images = pixels.float() * brightness
    grey = images.mean(2, keepdim=True)
    images = grey + colour * (images - grey)
    middle = grey.mean((-2, -1), keepdim=True)
    return (middle + contrast * (images - middle)).clamp(0, 255)


STEPS: dict[str, Callable[[Tensor, Randomness], Tensor]] = {"crop": _crop, "flip": _flip, "jitter": _jitter}
