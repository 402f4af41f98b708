"""The small network that deep methods adapt: a trunk that makes features, batch norms throughout, and a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput


class AdaptableNetwork(nn.Module):
    """Items (N, ...) to features (N, width) and logits (N, classes)."""

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(width, classes)

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, width) and logits (N, classes) of items (N, ...)."""
        features = self.trunk(items)
        return features, self.head(features)

    @torch.no_grad()
    def logits(self, items: Tensor, block: int = 1024) -> Tensor:
        """Logits (N, classes) in evaluation mode, `block` items at a time."""
        self.eval()
        return torch.cat([self(part)[1] for part in items.split(block)])


def build_network(shape: torch.Size, classes: int, width: int = 128) -> AdaptableNetwork:
    """Two hidden layers for vectors (D,), two convolutions and one layer for images (C, H, W) of 8 pixels or more."""
    if len(shape) == 1:
        trunk = nn.Sequential(*_layer(shape[0], 2 * width), *_layer(2 * width, width))
    elif len(shape) == 3 and min(shape[1:]) >= 8:
        pixels = (shape[1] // 4) * (shape[2] // 4)
        trunk = nn.Sequential(
            *_convolution(shape[0], 16), *_convolution(16, 32), nn.Flatten(), *_layer(32 * pixels, width)
        )
    else:
        raise InvalidInput(f"deep methods take vectors (D,) or images (C, H, W) of 8 x 8 or more, found {tuple(shape)}")
    return AdaptableNetwork(trunk, width, classes)


def _layer(dim: int, width: int) -> list[nn.Module]:
    return [nn.Linear(dim, width), nn.BatchNorm1d(width), nn.ReLU()]


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
