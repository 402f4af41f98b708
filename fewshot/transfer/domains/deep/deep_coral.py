"""Deep CORAL: the covariances of the features are brought together (Sun and Saenko 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from fewshot.transfer.domains.adaptation import register_adaptation
from fewshot.transfer.domains.deep.method import Batch, DeepAdaptation
from fewshot.transfer.domains.distances.coral import coral_loss


@register_adaptation("deep-coral", paper="Sun and Saenko 2016, Deep CORAL, arXiv:1607.01719")
@dataclass(frozen=True)
class DeepCoral(DeepAdaptation):
    """The CORAL distance of the logits; the paper picks `weight` such that both losses are alike in the end."""

    weight: float = 10.0

    def transfer_loss(self, batch: Batch, companion: nn.Module) -> Tensor:
        """The CORAL loss of the logits of source and target, a scalar."""
        return coral_loss(batch.source_logits, batch.target_logits)
