"""A backbone with a way back from its features to the image."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import torch
from torch import Tensor, nn

from fewshot.learners.meta.training.image_bank import ByteScale

DOUBLINGS = 3


class Autoencoder(nn.Module):
    """Images in [0, 1] to features by `encoder`, and from what `code` makes of them back to images by `decoder`.

    encoder: the module of a backbone, which takes images as `scale` normalises them; it alone is kept in the end.
    decoder: gives images as differences from the mean colour of that normalisation, where it starts from.
    """

    def __init__(self, encoder: nn.Module, code: nn.Module, decoder: nn.Module, scale: ByteScale) -> None:
        super().__init__()
        self.encoder, self.code, self.decoder, self.scale = encoder, code, decoder, scale

    def encode(self, pixels: Tensor) -> Tensor:
        """Features (B, dim) of images (B, C, H, W) in [0, 1]."""
        features: Tensor = self.encoder(self.scale.to_floats(255 * pixels))
        return features

    def decode(self, codes: Tensor) -> Tensor:
        """Images (B, C, H, W) of codes (B, D), float32."""
        differences = self.decoder(codes).float()
        return differences + self.blank(differences)

    def forward(self, pixels: Tensor) -> Tensor:
        """The images again, as far as the code tells them."""
        return self.decode(self.code(self.encode(pixels)))

    def blank(self, pixels: Tensor) -> Tensor:
        """The colour (C, 1, 1) that is zero for the encoder: what hides a part of an image."""
        return torch.tensor(self.scale.mean, dtype=pixels.dtype, device=pixels.device)[:, None, None]


class Decoder(nn.Module):
    """Codes (B, dim) to images (B, channels, side, side): a linear layer, then three doublings of the side.

    Each doubling is a transposed convolution of 4x4 in steps of two (Radford et al. 2016, sec. 3); what is too much at
    the right and at the bottom is cut off. The last layer has no activation. It is kept small, since it is thrown away.
    """

    def __init__(self, dim: int, channels: int, side: int, width: int = 32) -> None:
        super().__init__()
        self.side, self.start, self.width = side, ceil(side / 2**DOUBLINGS), width
        self.spread = nn.Linear(dim, width * self.start**2)
        widths = [width, width, width // 2, channels]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Images (B, channels, side, side) of codes (B, dim), without an activation."""
        maps = self.spread(codes).view(-1, self.width, self.start, self.start)
        maps = maps.contiguous(memory_format=torch.channels_last)
        return self.layers(maps)[..., : self.side, : self.side]


def mean_squared_error(found: Tensor, pixels: Tensor) -> Tensor:
    """The mean over all images, channels and positions of the squared difference."""
    return (found - pixels).square().mean()
