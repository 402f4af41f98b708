"""Optimal transport: each source item moves to where the cheapest plan takes it (Courty et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.skada_adapters import skada_module, solver_warned, transformed

STEPS = 1_000_000  # of the exact solver


@register_adaptation("ot", paper="Courty et al. 2017, Optimal Transport for Domain Adaptation, arXiv:1507.00504")
@dataclass(frozen=True)
class OptimalTransport(Alignment):
    """The source where the plan takes it, by skada and POT; the cost is the squared distance.

    kind: "exact", "entropic", or "classes", which also keeps items of different classes from sharing targets.
    entropy: weight of the entropy, against distances divided by their largest ("entropic") or as they are ("classes");
    groups: weight of the classes.
    """

    kind: Literal["exact", "entropic", "classes"] = "exact"
    entropy: float = 0.01
    groups: float = 0.1

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The source moved, the target as it is; a `FewshotWarning` tells where the solver gave up."""
        with skada_module(self.name) as skada, solver_warned(self._gave_up()):
            return transformed(self._adapter(skada), source, labels, target)

    def _adapter(self, skada: Any) -> Any:
        if self.kind == "exact":
            return skada.OTMappingAdapter(norm="max", max_iter=STEPS)
        if self.kind == "entropic":
            return skada.EntropicOTMappingAdapter(reg_e=self.entropy, norm="max")
        if self.kind == "classes":
            return skada.ClassRegularizerOTMappingAdapter(reg_e=self.entropy, reg_cl=self.groups)
        raise InvalidInput(f"{self.name}: kind must be exact, entropic or classes, found {self.kind!r}")

    def _gave_up(self) -> str:
        if self.kind == "exact":
            return f"{self.name}: {STEPS:,} steps did not find the cheapest plan; take fewer items, or kind=entropic"
        unit = ", which is in squared distances here" if self.kind == "classes" else ""
        return (
            f"{self.name}: Sinkhorn's iterations did not converge at entropy={self.entropy:g}, so the plan and what it "
            f"moves may be off; raise entropy{unit}"
        )
