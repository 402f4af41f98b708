"""TENT: at test time the batch norms follow the entropy of the predictions down (Wang et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import DeepAdaptation, step
from fewshot.transfer.domains.deep.network import AdaptableNetwork
from fewshot.transfer.sees import Sees


@register_adaptation("tent", paper="Wang et al. 2021, Tent: Fully Test-Time Adaptation, arXiv:2006.10726")
@dataclass(frozen=True)
class Tent(DeepAdaptation):
    """Source-free and online: each batch of the target is predicted once, by its own statistics, then learned from.

    `weight` has no meaning; `test_rate` is the learning rate at test time.
    """

    test_rate: float = 1e-3

    sees = Sees(weights=True, test=True)

    def _adapted_logits(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        self._train_on_source(network, source, labels)
        return tent(network, target, self.batch, self.test_rate)


def tent(network: AdaptableNetwork, target: Tensor, batch: int = 128, learning_rate: float = 1e-3) -> Tensor:
    """Logits (M, C) of target (M, ...), predicted batch by batch in a shuffled order while `network` adapts.

    Only `affine_parameters` change. Raises `InvalidInput` where the network has none.
    """
    parameters = affine_parameters(network)
    network.train()
    network.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(parameters, learning_rate)
    order = torch.randperm(len(target))
    parts = list(order.split(min(batch, len(target))))
    if len(parts) > 1 and len(parts[-1]) < len(parts[0]) // 2:  # too few for statistics of their own
        parts[-2:] = [torch.cat(parts[-2:])]
    logits = torch.empty(len(target), network.head.out_features)
    for chosen in parts:
        _, found = network(target[chosen])
        logits[chosen] = found.detach()
        step(optimizer, entropy(found), "tent")
    return logits


def affine_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The scales and shifts of all batch norms; raises `InvalidInput` where there are none."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.affine]
    if not norms:
        raise InvalidInput("tent adapts the scales and shifts of batch norms, and this network has none; try shot")
    return [parameter for norm in norms for parameter in (norm.weight, norm.bias)]


def entropy(logits: Tensor) -> Tensor:
    """The mean entropy of the predictions, in nats, of logits (N, C)."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
