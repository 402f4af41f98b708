"""Homoscedastic uncertainty: each label set is weighted by a noise that is learned (Kendall et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.transfer.multitask.balancing import Balance, Balancing, register_balancing
from fewshot.transfer.multitask.network import MultitaskNetwork


@register_balancing(
    "uncertainty", paper="Kendall et al. 2018, Multi-Task Learning Using Uncertainty to Weigh Losses, arXiv:1705.07115"
)
@dataclass(frozen=True)
class Uncertainty(Balancing):
    """Weights 1 / sigma², with sigma trained beside the network."""

    def start(self, tasks: int, seed: int = 0) -> Balance:
        """Sigma is 1; the weights of the balance are log sigma²."""
        balance = super().start(tasks, seed)
        balance.weights = torch.zeros(tasks, requires_grad=True)
        return balance

    def backward(self, losses: Tensor, present: Tensor, network: MultitaskNetwork, balance: Balance) -> None:
        """The gradient of `uncertainty_loss`, to network and sigmas."""
        uncertainty_loss(losses[present], balance.weights[present]).backward()


def uncertainty_loss(losses: Tensor, log_variances: Tensor) -> Tensor:
    """Sum over label sets of L / sigma² + log sigma, for losses that are cross-entropies (eq. 10).

    losses and log_variances, log sigma², (tasks,). For a loss that stays, the best sigma² is 2 L.
    """
    return ((-log_variances).exp() * losses + log_variances / 2).sum()
