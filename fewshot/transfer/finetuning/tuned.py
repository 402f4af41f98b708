"""What a fine-tuning gives: the network, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fewshot.transfer.finetuning.images import LabelledImages
from fewshot.transfer.finetuning.model import TransferModel

_AT_ONCE = 128  # images


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network, and how it came about.

    history: a row an epoch; best_epoch: the one that is kept; accuracy: on the held-out images then, None without them;
    record: what was trained on what, ready for JSON; it tells how many items were generated.
    """

    model: TransferModel
    history: list[dict[str, Any]]
    best_epoch: int
    accuracy: float | None
    seconds: float
    record: dict[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def logits(self, images: LabelledImages) -> Tensor:
        """Logits (N, classes) of images, float32 on the CPU, in evaluation mode."""
        self.model.eval()
        images = images.scaled_for(self.model.preprocess)
        parts = [images.floats(part.to(self.model.device)) for part in images.pixels.split(_AT_ONCE)]
        return torch.cat([self.model(part).float().cpu() for part in parts])

    def score(self, images: LabelledImages) -> float:
        """The share of images that it gets right."""
        return float((self.logits(images).argmax(1) == images.labels).double().mean())
