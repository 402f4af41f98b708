"""The target alone: a small convolutional net trained from random weights on the few labels of a draw."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.episodes import Episodes
from fewshot.errors import InvalidInput


def scratch_accuracy(images: Tensor, episodes: Episodes, steps: int = 60, seed: int = 0) -> Tensor:
    """The accuracy (draws,) of a net that learns each draw's support from scratch and answers its queries.

    images (N, C, H, W) float, at least 16 pixels on a side. Three convolutions with batch norm, `steps` steps of Adam
    at 0.003 over the whole support, or 128 of it where it is larger, turned left and right by chance. Raises
    `InvalidInput` for other images.
    """
    if images.ndim != 4 or min(images.shape[-2:]) < 16 or not images.is_floating_point():
        raise InvalidInput(f"images must be floats (N, C, H, W) of 16 pixels or more, found {tuple(images.shape)}")
    episodes.check()
    episodes.check_same_classes()
    found = []
    for number, episode in enumerate(episodes):
        net = _trained(images[episode.support[0]], episode.support_labels[0], episode.ways, steps, seed + number)
        answers = net(images[episode.query[0]]).argmax(1)
        found.append((answers == episode.query_labels[0]).double().mean())
    return torch.stack(found)


def _trained(images: Tensor, labels: Tensor, ways: int, steps: int, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = small_net(images.shape[1], ways)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-4)
    for _ in range(steps):
        chosen = torch.randperm(len(images), generator=generator)[:128]
        flipped = torch.rand(len(chosen), 1, 1, 1, generator=generator) < 0.5
        batch = torch.where(flipped, images[chosen].flip(-1), images[chosen])
        optimiser.zero_grad()
        cross_entropy(net(batch), labels[chosen]).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


def small_net(channels: int, ways: int) -> nn.Module:
    """Images (B, channels, H, W) to logits (B, ways): three blocks that halve the side, and a mean over positions."""
    widths = (channels, 16, 32, 64)
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        for a, b in pairwise(widths)
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], ways))
