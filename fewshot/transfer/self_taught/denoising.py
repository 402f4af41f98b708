"""A denoising autoencoder: the clean image from one with noise (Vincent et al. 2008, 2010)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.episodes.checks import positive
from fewshot.transfer.self_taught.autoencoder import Autoencoder, mean_squared_error
from fewshot.transfer.self_taught.objective import Objective, register_objective


@register_objective("denoising", paper="Vincent et al. 2010, Stacked Denoising Autoencoders, JMLR 11, sec. 3.3")
@dataclass(frozen=True)
class Denoising(Objective):
    """Gaussian noise is to be taken away.

    noise: its standard deviation, where black is 0 and white is 1.
    """

    noise: float = 0.25

    def __post_init__(self) -> None:
        positive("noise", self.noise)

    def loss(self, model: Autoencoder, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """The mean squared error against the image before the noise."""
        noise = torch.randn(pixels.shape, generator=generator).to(pixels)
        return mean_squared_error(model(pixels + self.noise * noise), pixels)
