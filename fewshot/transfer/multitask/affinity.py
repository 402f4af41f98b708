"""Task affinity: does a step for one label set help another? (Fifty et al. 2021)"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from fewshot.transfer.multitask.network import MultitaskNetwork, task_losses

PAPER = "Fifty et al. 2021, Efficiently Identifying Task Groupings for Multi-Task Learning, arXiv:2109.04617"


def lookahead_affinity(network: MultitaskNetwork, inputs: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
    """Z (tasks, tasks): Z[i, j] = 1 - L_j after a step of gradient descent on L_i / L_j before it (eq. 1).

    The step moves the trunk alone, and both losses are of the same batch: inputs (B, ...), labels (B, tasks), -1 for
    missing. Positive: what i does to the trunk helps j. NaN where a label set has no label in the batch. The network
    stays as it is, its batch-norm statistics too.
    """
    weights: dict[str, Tensor] = dict(network.named_parameters())
    shared = [name for name in weights if name.startswith("trunk.")]
    with torch.enable_grad():
        losses, present = _losses(network, weights, inputs, labels)
        gradients = [
            torch.autograd.grad(loss, network.shared(), retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in losses
        ]
    affinity = torch.full((len(losses), len(losses)), torch.nan, dtype=losses.dtype, device=losses.device)
    with torch.no_grad():
        for task in present.nonzero().flatten().tolist():
            moves = zip(shared, gradients[task], strict=True)
            ahead = weights | {name: weights[name] - learning_rate * slope for name, slope in moves}
            after, _ = _losses(network, ahead, inputs, labels)
            affinity[task] = torch.where(present, 1 - after / losses, torch.nan)
    return affinity


def _losses(
    network: MultitaskNetwork, weights: dict[str, Tensor], inputs: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    return task_losses(functional_call(network, weights | buffers, inputs), labels)
