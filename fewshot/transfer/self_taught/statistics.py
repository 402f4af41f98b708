"""Batch-norm statistics measured anew: what was seen in training may have been masked or full of noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from fewshot.learners.meta.training.image_bank import DecodedImages, ImageBank

MOST = 2_000  # images
BATCH = 250


@torch.no_grad()
def measure_batch_norms(module: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running mean and variance of every batch norm to the mean over `batches`, and put `module` in eval mode.

    batches: what the module takes, each of two items or more.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    module.train()
    for batch in batches:
        module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()


def whole_images(images: ImageBank | DecodedImages) -> Iterator[Tensor]:
    """Batches (B, C, H, W) of up to 2,000 images drawn at random, the same each time, as a backbone takes them."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:MOST]
    for part in rows.split(BATCH):
        if len(part) > 1:
            yield images.scale.to_floats(images.gather(part))
