"""No adaptation: what every method is measured against."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.sees import SOURCE_ONLY


@register_adaptation("source-only", paper="the baseline")
@dataclass(frozen=True)
class SourceOnly(Alignment):
    """The classifier of the source, asked about the target as it is."""

    sees = SOURCE_ONLY

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as they are."""
        return source, target
