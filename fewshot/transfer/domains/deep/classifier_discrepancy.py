"""Maximum classifier discrepancy: two heads seek where they disagree, the trunk takes that away (Saito et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewshot.learners.checks import check_positive
from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import DeepAdaptation, step
from fewshot.transfer.domains.deep.network import AdaptableNetwork


@register_adaptation("mcd", paper="Saito et al. 2018, Maximum Classifier Discrepancy, arXiv:1712.02560")
@dataclass(frozen=True)
class MCD(DeepAdaptation):
    """Three steps a batch (section 3.3): both learn the source; the heads part on the target; the trunk joins them.

    repeats: of the third step.
    """

    repeats: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "repeats")

    def _adapted_logits(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        heads = nn.ModuleList(nn.Linear(network.head.in_features, network.head.out_features) for _ in range(2))
        of_trunk = torch.optim.Adam(network.trunk.parameters(), self.learning_rate)
        of_heads = torch.optim.Adam(heads.parameters(), self.learning_rate)
        network.train()
        for _, chosen, of_target in self._batches(len(source), len(target)):
            both, cut, wanted = torch.cat([source[chosen], target[of_target]]), len(chosen), labels[chosen]
            of_trunk.zero_grad()
            step(of_heads, _source_loss(heads, network.trunk(both)[:cut], wanted), self.name)
            of_trunk.step()
            features = network.trunk(both).detach()
            apart = discrepancy(*(head(features[cut:]).softmax(1) for head in heads))
            step(of_heads, _source_loss(heads, features[:cut], wanted) - self.weight * apart, self.name)
            for _ in range(self.repeats):
                features = network.trunk(both)[cut:]
                step(of_trunk, self.weight * discrepancy(*(head(features).softmax(1) for head in heads)), self.name)
        network.eval()
        with torch.no_grad():
            parts = [network.trunk(part) for part in target.split(1024)]
            return torch.cat([heads[0](part) + heads[1](part) for part in parts])


def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """The mean of |p1 - p2| over items and classes, of chances (N, C) (eq. 2)."""
    return (first - second).abs().mean()


def _source_loss(heads: nn.ModuleList, features: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(heads[0](features), labels) + functional.cross_entropy(heads[1](features), labels)
