"""Two images made into one, with the labels of both: MixUp and CutMix."""

from __future__ import annotations

import torch
from torch import Tensor

MIXUP_ALPHA, CUTMIX_ALPHA = 0.2, 1.0  # of the papers, for ImageNet


def mixup(pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Each image mixed with another of the batch, x = l x_i + (1 - l) x_j, and so its target; l from Beta(0.2, 0.2).

    pixels (B, C, H, W) bytes or floats 0..255, targets (B, classes) probabilities; one l an image
    (Zhang et al. 2018, mixup: Beyond empirical risk minimization, arXiv:1710.09412, eq. 1).
    """
    share, other = _draw(MIXUP_ALPHA, len(pixels), pixels.device)
    own = share[:, None, None, None]
    return own * pixels.float() + (1 - own) * pixels[other].float(), _mixed(targets, other, share)


def cutmix(pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Each image with a rectangle of another of the batch, and a target of the shares of area.

    The rectangle has sides sqrt(1 - l) of the image's, l uniform in [0, 1), and a centre anywhere; what lies outside is
    cut off (Yun et al. 2019, CutMix, arXiv:1905.04899, eq. 1 and 2).
    """
    share, other = _draw(CUTMIX_ALPHA, len(pixels), pixels.device)
    height, width = pixels.shape[-2:]
    centre = torch.rand(2, len(pixels))
    inside = _inside(height, centre[0], share)[:, :, None] & _inside(width, centre[1], share)[:, None, :]
    inside = inside.to(pixels.device)
    mixed = torch.where(inside[:, None], pixels[other], pixels)
    return mixed, _mixed(targets, other, 1 - inside.float().mean((1, 2)))


def _inside(side: int, centre: Tensor, share: Tensor) -> Tensor:
    """(B, side) bool: the places within a line of sqrt(1 - share) of the side around the centre (B,) in [0, 1)."""
    middle, half = (centre * side).floor(), (side * (1 - share.cpu()).sqrt() / 2).floor()
    places = torch.arange(side)
    return (places >= (middle - half)[:, None]) & (places < (middle + half)[:, None])


def _draw(alpha: float, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A share (B,) of Beta(alpha, alpha) and a partner (B,) for each image."""
    gamma = torch._standard_gamma(torch.full((2, count), alpha))
    share = (gamma[0] / gamma.sum(0).clamp_min(1e-30)).clamp(0, 1)
    return share.to(device), torch.randperm(count).to(device)


def _mixed(targets: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return share[:, None] * targets + (1 - share[:, None]) * targets[other]
