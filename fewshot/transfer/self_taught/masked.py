"""A masked autoencoder: patches that were hidden, from those that were not (He et al. 2022; Xie et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from fewshot.episodes.checks import whole_number
from fewshot.errors import InvalidInput
from fewshot.transfer.self_taught.autoencoder import Autoencoder
from fewshot.transfer.self_taught.objective import Objective, register_objective


@register_objective(
    "masked", paper="He et al. 2022, Masked Autoencoders, arXiv:2111.06377; Xie et al. 2022, SimMIM, arXiv:2111.09886"
)
@dataclass(frozen=True)
class Masked(Objective):
    """Square patches are blanked, as a convolutional encoder needs whole images, and only they count in the loss.

    patch: side in pixels; share: of the patches that are hidden (SimMIM has 0.6 and a seventh of the side).
    """

    patch: int = 4
    share: float = 0.6

    def __post_init__(self) -> None:
        whole_number("patch", self.patch, 1)
        if not 0 < self.share < 1:
            raise InvalidInput(f"share must lie between 0 and 1, found {self.share}")

    def loss(self, model: Autoencoder, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """The mean squared error of the hidden pixels."""
        hidden = hidden_pixels(len(pixels), pixels.shape[-1], self.patch, self.share, generator).to(pixels.device)
        found = model(torch.where(hidden, model.blank(pixels), pixels))
        return error_of_hidden(found, pixels, hidden)


def error_of_hidden(found: Tensor, pixels: Tensor, hidden: Tensor) -> Tensor:
    """The mean squared error over all values at hidden positions; hidden (B, 1, H, W) bool."""
    errors = (found - pixels).square() * hidden
    return errors.sum() / (hidden.sum() * pixels.shape[1])


def hidden_pixels(count: int, side: int, patch: int, share: float, generator: torch.Generator) -> Tensor:
    """Which pixels are hidden, bool (count, 1, side, side): in each image the same number of patches, at least one.

    Patches begin at the left and at the top; the last of a row is cut where the side is no multiple of `patch`. Raises
    `InvalidInput` for a patch as large as the image.
    """
    across = ceil(side / patch)
    if across < 2:
        raise InvalidInput(f"a patch of {patch} pixels hides a whole image of {side}; make it smaller")
    patches = min(max(1, round(share * across**2)), across**2 - 1)
    order = torch.rand(count, across**2, generator=generator).argsort(1).argsort(1)
    grid = (order < patches).view(count, 1, across, across)
    return grid.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :side, :side]
