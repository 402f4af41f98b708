"""DANN and CDAN: the features are made such that a discriminator cannot tell the domains apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import Batch, DeepAdaptation
from fewshot.transfer.domains.deep.network import AdaptableNetwork


@register_adaptation(
    "dann", paper="Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, arXiv:1505.07818"
)
@dataclass(frozen=True)
class DANN(DeepAdaptation):
    """A discriminator of features behind a gradient reversal."""

    weight: float = 0.3

    def companion(self, network: AdaptableNetwork) -> nn.Module:
        """The discriminator, of features (B, width)."""
        return discriminator(network.head.in_features)

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """What the discriminator gets wrong; the features climb it."""
        items = torch.cat([batch.source_features, batch.target_features])
        domain = torch.arange(2).repeat_interleave(len(batch.labels)).to(items)
        return functional.binary_cross_entropy_with_logits(companion(reverse_gradient(items)).squeeze(1), domain)


@register_adaptation("cdan", paper="Long et al. 2018, Conditional Adversarial Domain Adaptation, arXiv:1705.10667")
@dataclass(frozen=True)
class CDAN(DeepAdaptation):
    """A discriminator of the products of features and predictions, in which sure predictions count more (CDAN+E)."""

    weight: float = 0.3

    def companion(self, network: AdaptableNetwork) -> nn.Module:
        """The discriminator, of products (B, width * classes)."""
        return discriminator(network.head.in_features * network.head.out_features)

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """What the discriminator gets wrong; the features climb it, the predictions are only looked at."""
        features = torch.cat([batch.source_features, batch.target_features])
        chances = torch.cat([batch.source_logits, batch.target_logits]).softmax(1).detach()
        wrong = functional.binary_cross_entropy_with_logits(
            companion(reverse_gradient(multilinear(features, chances))).squeeze(1),
            torch.arange(2).repeat_interleave(len(batch.labels)).to(features),
            reduction="none",
        )
        sureness = entropy_weights(chances).view(2, -1)
        return (wrong.view(2, -1) * sureness / sureness.sum(1, keepdim=True)).sum() / 2


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, items: Tensor) -> Tensor:
        return items.view_as(items)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reverse_gradient(items: Tensor) -> Tensor:
    """`items` as they are, with the gradient's sign turned on the way back (Ganin et al. 2016, eq. 16 and 17)."""
    reversed_items: Tensor = _Reversal.apply(items)
    return reversed_items


def multilinear(features: Tensor, chances: Tensor) -> Tensor:
    """The outer product of each item's features (N, D) and chances (N, C), as (N, D C)."""
    return (features[:, :, None] * chances[:, None]).flatten(1)


def entropy_weights(chances: Tensor) -> Tensor:
    """1 + exp(-H) of each row of chances (N, C) (CDAN+E, eq. 8)."""
    return 1 + torch.special.entr(chances).sum(1).neg().exp()


def discriminator(dim: int, width: int = 128) -> nn.Module:
    """Features (N, dim) to one logit (N, 1), large for the target."""
    return nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, 1))
