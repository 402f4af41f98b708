"""A plain autoencoder: the image through a narrow code and back (Hinton and Salakhutdinov 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.transfer.self_taught.autoencoder import Autoencoder, mean_squared_error
from fewshot.transfer.self_taught.objective import Objective, register_objective


@register_objective(
    "plain",
    paper="Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, Science 313",
)
@dataclass(frozen=True)
class Plain(Objective):
    """The image itself, as far as the features tell it."""

    def loss(self, model: Autoencoder, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """The mean squared error of the image made again."""
        return mean_squared_error(model(pixels), pixels)
