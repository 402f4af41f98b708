"""L2-SP: weights are pulled towards where they started (Li et al. 2018, arXiv:1802.01483, eq. 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.transfer.finetuning.regularisers.regulariser import Pass, Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel


def l2_sp(
    shared: Mapping[str, Tensor], start: Mapping[str, Tensor], new: Mapping[str, Tensor], alpha: float, beta: float
) -> Tensor:
    """alpha/2 |w_S - w_S^0|^2 + beta/2 |w_new|^2, a number.

    shared: weights that the pretrained network has too, start: what they were, new: those that it lacks.
    """
    moved = [(weight - start[name]).square().sum() for name, weight in shared.items()]
    sizes = [weight.square().sum() for weight in new.values()]
    zero = torch.zeros((), device=next(iter([*shared.values(), *new.values()])).device)
    return alpha / 2 * sum(moved, zero) + beta / 2 * sum(sizes, zero)


@register_regulariser("l2-sp", paper="Li et al. 2018, Explicit inductive bias for transfer learning, arXiv:1802.01483")
@dataclass(frozen=True)
class L2SP(Regulariser):
    """Pulls the trunk's weights towards the pretrained ones, and the head's towards zero."""

    alpha: float = 0.1
    beta: float = 0.01

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty:
        """Note the first weights; those that do not learn in a step cost nothing in it."""
        start = {
            name: weight.detach().clone() for name, weight in model.named_parameters() if name.startswith("trunk.")
        }

        def penalty(_: Pass) -> Tensor:
            learning = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
            shared = {name: weight for name, weight in learning.items() if name in start}
            new = {name: weight for name, weight in learning.items() if name not in start}
            return l2_sp(shared, start, new, self.alpha, self.beta)

        return penalty
