"""Equal weights: the sum of the losses (Caruana 1997)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.multitask.balancing import Balance, Balancing, register_balancing
from fewshot.transfer.multitask.network import MultitaskNetwork


@register_balancing("equal", paper="Caruana 1997, Multitask Learning, Machine Learning 28")
@dataclass(frozen=True)
class Equal(Balancing):
    """Every label set counts the same."""

    def backward(self, losses: Tensor, present: Tensor, network: MultitaskNetwork, balance: Balance) -> None:
        """Leave the gradient of the sum of the losses (tasks,) on the network."""
        losses.sum().backward()
