"""GradNorm: weights under which all label sets train at similar rates (Chen et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.episodes.checks import positive
from fewshot.transfer.multitask.balancing import Balance, Balancing, register_balancing
from fewshot.transfer.multitask.network import MultitaskNetwork

LEAST = 1e-3  # a weight below would turn the label set off, or around


@register_balancing(
    "gradnorm",
    paper="Chen et al. 2018, GradNorm: Gradient Normalization for Adaptive Loss Balancing, arXiv:1711.02257",
)
@dataclass(frozen=True)
class GradNorm(Balancing):
    """Gradient norms at the last shared layer are led to a common size, larger for label sets that lag behind.

    alpha: how strongly those that lag are helped; learning_rate: of the weights (sec. 5.1: 1.5 and 0.025).
    """

    alpha: float = 1.5
    learning_rate: float = 0.025

    def __post_init__(self) -> None:
        positive("alpha", self.alpha)
        positive("learning_rate", self.learning_rate)

    def backward(self, losses: Tensor, present: Tensor, network: MultitaskNetwork, balance: Balance) -> None:
        """The gradient of the weighted sum; then the weights move, and sum to the number of label sets again."""
        now, last = losses.detach(), network.last_shared()
        first = now.clamp(min=torch.finfo(now.dtype).tiny)
        balance.first = torch.where(balance.first.isnan() & present, first, balance.first)
        seen = [losses[task] for task in present.nonzero().flatten().tolist()]
        gradients = [torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in seen]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        weights = balance.weights[present]
        (balance.weights * losses).sum().backward()
        slope = gradnorm_gradient(weights, norms, now[present] / balance.first[present], self.alpha)
        balance.weights[present] = (weights - self.learning_rate * slope).clamp(min=LEAST)
        balance.weights *= len(balance.weights) / balance.weights.sum()


def gradnorm_gradient(weights: Tensor, norms: Tensor, ratios: Tensor, alpha: float) -> Tensor:
    """The derivative of sum_i |G_i - mean(G) r_i^alpha| by the weights, the target held constant (eq. 2, algorithm 1).

    weights (tasks,) above 0; norms (tasks,), of the gradients of the unweighted losses, so that G_i is their product;
    ratios (tasks,), loss now over loss at first, which divided by their mean are the inverse training rates r_i.
    """
    sizes = weights * norms
    targets = sizes.mean() * (ratios / ratios.mean().clamp(min=torch.finfo(ratios.dtype).tiny)) ** alpha
    return (sizes - targets).sign() * norms
