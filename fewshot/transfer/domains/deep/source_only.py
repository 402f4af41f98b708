"""The network without adaptation: what the deep methods are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import DeepAdaptation
from fewshot.transfer.domains.deep.network import AdaptableNetwork
from fewshot.transfer.sees import SOURCE_ONLY


@register_adaptation("deep-source-only", paper="the baseline")
@dataclass(frozen=True)
class DeepSourceOnly(DeepAdaptation):
    """The network trained on the source, asked about the target as it is; `weight` has no meaning."""

    sees = SOURCE_ONLY

    def _adapted_logits(self, network: AdaptableNetwork, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        self._train_on_source(network, source, labels)
        return network.logits(target)
