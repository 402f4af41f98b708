"""PCGrad: where the gradients of two label sets conflict, each gives way to the other (Yu et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.transfer.multitask.balancing import Balance, Balancing, register_balancing
from fewshot.transfer.multitask.network import MultitaskNetwork


@register_balancing("pcgrad", paper="Yu et al. 2020, Gradient Surgery for Multi-Task Learning, arXiv:2001.06782")
@dataclass(frozen=True)
class PCGrad(Balancing):
    """Gradients on the trunk that point against another's are projected onto its normal plane."""

    def backward(self, losses: Tensor, present: Tensor, network: MultitaskNetwork, balance: Balance) -> None:
        """The sum of the projected gradients on the trunk; on the heads each its own."""
        shared, heads = network.shared(), list(network.heads.parameters())
        seen = [losses[task] for task in present.nonzero().flatten().tolist()]
        gradients = [
            torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in seen
        ]
        torch.autograd.backward(losses.sum(), inputs=heads)
        flat = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in gradients])
        kept = project_conflicts(flat, balance.generator).sum(0)
        for weight, part in zip(shared, kept.split([weight.numel() for weight in shared]), strict=True):
            weight.grad = part.view_as(weight)


def project_conflicts(gradients: Tensor, generator: torch.Generator) -> Tensor:
    """Each gradient, made free of conflicts with the others, which are met in random order (algorithm 1).

    gradients (tasks, P)  ->  (tasks, P). Where g_i · g_j < 0, g_i loses its part along g_j: g_i - (g_i · g_j / |g_j|²)
    g_j, with g_j as it was given.
    """
    projected = gradients.clone()
    for task, own in enumerate(projected):
        for other in torch.randperm(len(gradients), generator=generator).tolist():
            against = gradients[other]
            along = own @ against
            if other != task and along < 0:
                own -= along / (against @ against) * against
    return projected
