"""CORAL: the source takes the covariance of the target (Sun et al. 2016, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.skada_adapters import skada_module, transformed


@register_adaptation("coral", paper="Sun et al. 2016, Return of Frustratingly Easy Domain Adaptation, arXiv:1511.05547")
@dataclass(frozen=True)
class Coral(Alignment):
    """Both centred, and the source whitened and recoloured with the target's covariance; by skada.

    shrinkage: of both covariances, from 0 to 1, or "auto" for Ledoit and Wolf's; the paper adds the identity instead.
    """

    shrinkage: float | str = "auto"

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) recoloured and target (M, D) centred."""
        with skada_module(self.name) as skada:
            return transformed(skada.CORALAdapter(reg=self.shrinkage), source, labels, target)
