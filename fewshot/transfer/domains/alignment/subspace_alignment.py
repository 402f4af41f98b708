"""Subspace alignment: the source's principal axes are turned onto the target's (Fernando et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.settings import check_components
from fewshot.transfer.domains.alignment.skada_adapters import skada_module, transformed


@register_adaptation(
    "subspace-alignment", paper="Fernando et al. 2013, Unsupervised Visual DA Using Subspace Alignment"
)
@dataclass(frozen=True)
class SubspaceAlignment(Alignment):
    """Source and target in `components` principal axes each, the source's turned onto the target's; by skada."""

    components: int = 80

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as (N, components) and (M, components)."""
        check_components(self.name, self.components, min(len(source), len(target), source.shape[1]))
        with skada_module(self.name) as skada:
            adapter = skada.SubspaceAlignmentAdapter(n_components=self.components, random_state=0)
            return transformed(adapter, source, labels, target)
