"""StochNorm: batch norm that takes the statistics of the batch or the kept ones by chance (Kou et al. 2020, eq. 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from fewshot.errors import InvalidInput
from fewshot.transfer.finetuning.regularisers.regulariser import Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel


class StochNorm(nn.BatchNorm2d):
    """A batch norm under the same names of weights; in evaluation it computes what that one does.

    In training each channel is normalised, with probability `kept`, by the moving statistics in place of the batch's;
    the moving ones go on to be updated as before.
    """

    def __init__(self, norm: nn.BatchNorm2d, kept: float) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        self.load_state_dict(norm.state_dict(), strict=False)
        self.kept = kept
        after: Any = norm  # timm's norms carry what follows them
        self.drop = getattr(after, "drop", nn.Identity())
        self.act = getattr(after, "act", nn.Identity())

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W), normalised, and what the norm carries."""
        if not self.training:
            return self.act(self.drop(super().forward(input)))
        moving_mean, moving_var = self.running_mean, self.running_var
        assert moving_mean is not None
        assert moving_var is not None
        moving = batch_norm(
            input, moving_mean.clone(), moving_var.clone(), self.weight, self.bias, False, 0.0, self.eps
        )
        own = super().forward(input)
        chosen = torch.rand(self.num_features, device=input.device) < self.kept
        return self.act(self.drop(torch.where(chosen[None, :, None, None], moving, own)))


@register_regulariser("stoch-norm", paper="Kou et al. 2020, Stochastic normalization, NeurIPS")
@dataclass(frozen=True)
class StochasticNormalisation(Regulariser):
    """Normalises each channel by the pretrained statistics in place of the batch's, half of the time."""

    kept: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kept > 1:
            raise InvalidInput(f"kept is a probability, found {self.kept}")

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty | None:
        """Put a `StochNorm` in the place of every batch norm; raises `InvalidInput` where there is none."""
        norms = [(name, part) for name, part in model.trunk.named_modules() if isinstance(part, nn.BatchNorm2d)]
        if not norms:
            raise InvalidInput(f"stoch-norm needs batch norms, and {model.name} has none; take another regulariser")
        for name, norm in norms:
            model.trunk.set_submodule(name, StochNorm(norm, self.kept))
        return None
