"""Optimal transport: each source item moves to where the cheapest plan takes it (Courty et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.skada_adapters import skada_module, transformed


@register_adaptation("ot", paper="Courty et al. 2017, Optimal Transport for Domain Adaptation, arXiv:1507.00504")
@dataclass(frozen=True)
class OptimalTransport(Alignment):
    """The source where the plan takes it, by skada and POT; squared distances divided by their largest.

    kind: "exact", "entropic", or "classes", which also keeps items of different classes from sharing targets.
    entropy: weight of the entropy, and groups: of the classes.
    """

    kind: Literal["exact", "entropic", "classes"] = "exact"
    entropy: float = 0.01
    groups: float = 0.1

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The source moved, the target as it is."""
        with skada_module(self.name) as skada:
            return transformed(self._adapter(skada), source, labels, target)

    def _adapter(self, skada: Any) -> Any:
        if self.kind == "exact":
            return skada.OTMappingAdapter(norm="max", max_iter=1_000_000)
        if self.kind == "entropic":
            return skada.EntropicOTMappingAdapter(reg_e=self.entropy, norm="max")
        if self.kind == "classes":
            return skada.ClassRegularizerOTMappingAdapter(reg_e=self.entropy, reg_cl=self.groups)
        raise InvalidInput(f"{self.name}: kind must be exact, entropic or classes, found {self.kind!r}")
