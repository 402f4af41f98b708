"""Batch spectral shrinkage: the weakest directions of a batch of features fade (Chen et al. 2019, eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.transfer.finetuning.regularisers.regulariser import Pass, Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel


def batch_spectral_shrinkage(features: Tensor, smallest: int = 1) -> Tensor:
    """The sum of squares of the `smallest` least singular values of features (B, D).

    Only as many as there are singular values, min(B, D).
    """
    # of the smaller Gram matrix, whose eigenvalues are the squared singular values
    few = features if len(features) <= features.shape[1] else features.T
    return torch.linalg.eigvalsh(few @ few.T)[:smallest].clamp_min(0).sum()


@register_regulariser("bss", paper="Chen et al. 2019, Catastrophic forgetting meets negative transfer, NeurIPS")
@dataclass(frozen=True)
class BatchSpectralShrinkage(Regulariser):
    """Shrinks the smallest singular values of a batch's features, which carry what does not transfer."""

    strength: float = 1e-3
    smallest: int = 1

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty:
        """The model stays as it is."""

        def penalty(step: Pass) -> Tensor:
            return self.strength * batch_spectral_shrinkage(step.features.float(), self.smallest)

        return penalty
