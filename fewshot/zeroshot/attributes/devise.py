"""DeViSE, a deep visual-semantic embedding model, on given features (Frome et al. 2013, eq. 1)."""

from dataclasses import dataclass

from torch import Tensor

from fewshot.zeroshot.attributes.bilinear import Bilinear
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method("devise", paper="Frome et al. 2013, DeViSE: a deep visual-semantic embedding model, NeurIPS")
@dataclass(frozen=True)
class DeViSE(Bilinear):
    """A bilinear form whose loss adds up all violations of the margin, each with the same weight.

    margin: 0.1 in the paper, for vectors of length 1.
    """

    margin: float = 0.1

    def loss_and_slope(self, violations: Tensor) -> tuple[Tensor, Tensor]:
        """The sum (N,) of violations above zero, and its derivative (N, C), 1 for each of them."""
        loss = violations.clamp(min=0)
        return loss.sum(1), (loss > 0).to(violations)
