"""SHOT: the trunk moves the target to where the source's frozen head is sure and varied (Liang et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import DeepAdaptation, step
from fewshot.transfer.domains.deep.network import AdaptableNetwork
from fewshot.transfer.sees import Sees

SMOOTHING = 0.1  # of the source's labels, as in the paper


@register_adaptation("shot", paper="Liang et al. 2020, Do We Really Need to Access the Source Data?, arXiv:2002.08546")
@dataclass(frozen=True)
class SHOT(DeepAdaptation):
    """Source-free: trained on the source, then adapted by information maximisation and pseudo-labels, head frozen.

    weight: of the pseudo-labels, .3 in the paper.
    """

    weight: float = 0.3

    sees = Sees(weights=True, target=True, test=True)

    def _adapted_logits(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        self._train_on_source(network, source, labels, SMOOTHING)
        self.adapt_network(network, target)
        return network.logits(target)

    def adapt_network(self, network: AdaptableNetwork, target: Tensor) -> None:
        """Train the trunk of a network of the source on target (M, ...), without any item of the source."""
        optimizer = torch.optim.Adam(network.trunk.parameters(), self.learning_rate)
        size = min(self.batch, len(target))
        for _ in range(self.epochs):
            network.eval()
            with torch.no_grad():
                outputs = [network(part) for part in target.split(1024)]
            features, logits = (torch.cat(parts) for parts in zip(*outputs, strict=True))
            guess = pseudo_labels(features, logits.softmax(1))
            network.train()
            for chosen in torch.randperm(len(target)).split(size):
                if len(chosen) < 2:  # a batch norm cannot learn of one item
                    continue
                _, logits = network(target[chosen])
                loss = information_loss(logits) + self.weight * functional.cross_entropy(logits, guess[chosen])
                step(optimizer, loss, self.name)


def information_loss(logits: Tensor) -> Tensor:
    """The mean entropy of the predictions less the entropy of their mean (eq. 3 and 4), logits (N, C)."""
    chances = logits.softmax(1)
    return torch.special.entr(chances).sum(1).mean() - torch.special.entr(chances.mean(0)).sum()


def pseudo_labels(features: Tensor, chances: Tensor) -> Tensor:
    """The class of the nearest centroid by cosine (M,), of features (M, D), with centroids by chances (M, C).

    Centroids are means weighted by the chances, then once more by the labels that these give (eq. 4 to 6).
    """
    items = functional.normalize(features)
    share = chances
    for _ in range(2):
        centroids = functional.normalize(share.mT @ features / share.sum(0)[:, None].clamp(min=1e-8))
        labels = (items @ centroids.mT).argmax(1)
        share = functional.one_hot(labels, chances.shape[1]).to(features)
    return labels
