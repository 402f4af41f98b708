"""DAN and JAN: the domains' mean embeddings are brought together, layer by layer or jointly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import Batch, DeepAdaptation
from fewshot.transfer.domains.distances.kernels import squared_distances

SPREAD = (0.25, 0.5, 1.0, 2.0, 4.0)


@register_adaptation("dan", paper="Long et al. 2015, Learning Transferable Features with DAN, arXiv:1502.02791")
@dataclass(frozen=True)
class DAN(DeepAdaptation):
    """Squared MMD of the features plus that of the logits, each with Gaussian kernels of five bandwidths."""

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """The squared MMD of the features plus that of the logits, a scalar."""
        of_features = dan_loss(batch.source_features, batch.target_features)
        return of_features + dan_loss(batch.source_logits, batch.target_logits)


@register_adaptation("jan", paper="Long et al. 2017, Deep Transfer Learning with Joint Adaptation, arXiv:1605.06636")
@dataclass(frozen=True)
class JAN(DeepAdaptation):
    """Squared joint MMD: the kernel is the product of those of the features and of the softmax of the logits."""

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """The squared joint MMD of features and predicted probabilities, a scalar."""
        layers = [
            (batch.source_features, batch.target_features),
            (batch.source_logits.softmax(1), batch.target_logits.softmax(1)),
        ]
        return jan_loss(layers)


def dan_loss(source: Tensor, target: Tensor) -> Tensor:
    """Biased MMD² of source (N, D) and target (M, D), with `gaussian_grams`."""
    return _mmd(gaussian_grams(source, target), len(source))


def jan_loss(layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Biased joint MMD² (JMMD, eq. 9 of Long et al. 2017) of source and target in several layers."""
    gram = torch.ones(())
    for source, target in layers:
        gram = gram * gaussian_grams(source, target)
    return _mmd(gram, len(layers[0][0]))


def gaussian_grams(source: Tensor, target: Tensor) -> Tensor:
    """(N + M, N + M): the mean over `SPREAD` of exp(-|x - y|² / (factor mean)), mean over all pairs of two items.

    The mean squared distance is a constant to the gradient, as in the authors' code.
    """
    pooled = torch.cat([source, target])
    squares = squared_distances(pooled, pooled)
    mean = squares.detach().sum() / (len(pooled) * (len(pooled) - 1))
    return torch.stack([(-squares / (factor * mean.clamp(min=1e-12))).exp() for factor in SPREAD]).mean(0)


def _mmd(gram: Tensor, first: int) -> Tensor:
    return gram[:first, :first].mean() + gram[first:, first:].mean() - 2 * gram[:first, first:].mean()
