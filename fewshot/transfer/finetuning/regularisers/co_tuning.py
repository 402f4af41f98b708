"""Co-Tuning: the pretraining classes are taught too, by how they go with the new ones (You et al. 2020, eq. 2)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from fewshot.errors import InvalidInput
from fewshot.transfer.finetuning.regularisers.regulariser import Pass, Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel

_BATCH = 64


def category_relationship(probabilities: Tensor, labels: Tensor, classes: int) -> Tensor:
    """p(source class | new class), (classes, S): the mean of what the pretrained network says of a new class.

    probabilities (N, S) of N images with labels (N,): the paper's direct approach, algorithm 1. The mean over all for a
    class without images.
    """
    found = [
        probabilities[labels == each].mean(0) if bool((labels == each).any()) else probabilities.mean(0)
        for each in range(classes)
    ]
    return torch.stack(found)


def co_tuning_loss(source_logits: Tensor, targets: Tensor, relationship: Tensor) -> Tensor:
    """The cross-entropy of logits (B, S) with targets (B, classes) told in source classes, averaged over the batch."""
    return -(targets @ relationship * log_softmax(source_logits, dim=1)).sum(1).mean()


@register_regulariser("co-tuning", paper="You et al. 2020, Co-tuning for transfer learning, NeurIPS")
@dataclass(frozen=True)
class CoTuning(Regulariser):
    """Trains the pretrained classifier along, on what it said of each new class at the start."""

    strength: float = 2.3  # of the paper's code

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty:
        """Put the pretrained classifier into the model; raises `InvalidInput` for weights that come without one."""
        if not model.pretraining_head:
            raise InvalidInput(
                f"co-tuning needs the classifier of the pretraining, and the weights of {model.name} come without a "
                "linear one; take another backbone or regulariser"
            )
        head = deepcopy(model.pretraining_head[0])
        model.source_head = head
        model.trunk.eval()
        with torch.no_grad():
            said = [
                head(model.trunk(images.floats(part.to(model.device)))).softmax(1)
                for part in images.pixels.split(_BATCH)
            ]
        relationship = category_relationship(torch.cat(said).cpu(), images.labels, len(images.class_names))
        relationship = relationship.to(model.device)

        def penalty(step: Pass) -> Tensor:
            return self.strength * co_tuning_loss(head(step.features).float(), step.targets, relationship)

        return penalty
