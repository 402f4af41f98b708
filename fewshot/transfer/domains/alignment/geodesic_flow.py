"""Geodesic flow kernel: similarity over all subspaces on the way from the source's to the target's.

Gong et al. 2012, Geodesic flow kernel for unsupervised domain adaptation, eq. 4 to 6: with P the basis of the source's
subspace, R its complement and Q that of the target's, the geodesic is Phi(t) = P U cos(t angle) - R V sin(t angle),
and the kernel G is the integral of Phi(t) Phi(t)' over t in [0, 1], in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.settings import check_components


@register_adaptation("gfk", paper="Gong et al. 2012, Geodesic Flow Kernel for Unsupervised Domain Adaptation")
@dataclass(frozen=True)
class GeodesicFlow(Alignment):
    """The items mapped so that their inner products are the kernel's, between `components` principal axes each.

    At most half of the dimensions; the published tables take 20.
    """

    components: int = 20

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as (N, 2 components) and (M, 2 components)."""
        most = min(source.shape[1] // 2, len(source) - 1, len(target) - 1)
        check_components(self.name, self.components, most)
        root = flow_root(basis(source, self.components), basis(target, self.components))
        return source @ root, target @ root


def basis(items: Tensor, count: int) -> Tensor:
    """The leading `count` principal axes of items (N, D), as columns (D, count)."""
    _, _, axes = torch.linalg.svd(items - items.mean(0), full_matrices=False)
    return axes[:count].mT


def flow_root(first: Tensor, second: Tensor) -> Tensor:
    """(D, 2 d) whose product with its transpose is G, for orthonormal bases first and second (D, d)."""
    left, cosines, right = torch.linalg.svd(first.mT @ second)
    angles = cosines.clamp(-1, 1).acos()
    # what the target's axes have outside of the source's subspace; without length where the angle is zero
    outside = second @ right.mT - first @ left * cosines
    outside = outside / outside.norm(dim=0).clamp(min=1e-12)
    double = 2 * angles
    slope = torch.where(double > 1e-8, double.sin() / double.clamp(min=1e-8), 1.0)
    cross = torch.where(double > 1e-8, (1 - double.cos()) / double.clamp(min=1e-8), 0.0)
    middle = torch.stack([torch.stack([1 + slope, cross], -1), torch.stack([cross, 1 - slope], -1)], -2) / 2
    values, vectors = torch.linalg.eigh(middle)  # a 2 x 2 matrix an angle
    halves = vectors * values.clamp(min=0).sqrt()[:, None]
    pairs = torch.stack([first @ left, outside], -1)  # (D, d, 2)
    return torch.einsum("nda,dab->ndb", pairs, halves).flatten(1)
