"""EASE and SIAMESE: PT-MAP in a subspace that keeps likely neighbours together (Zhu & Koniusz 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize, to_principal
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.pt_map import PTMAP
from fewshot.learners.transductive.tasks import Tasks

_NOISE = 1e-6  # singular values below this share of the largest are rounding


@register_learner(
    "ease",
    paper="Zhu & Koniusz 2022, EASE: Unsupervised Discriminant Subspace Learning for Transductive Few-Shot Learning, "
    "CVPR 2022",
)
@dataclass(frozen=True)
class EASE(PTMAP):
    """PT-MAP in the subspace where similar items stay similar and others part, found without labels.

    dim: dimensions of the subspace; rank: of the task's features when items are compared; penalty: on what all items
    have in common. The rest as in PT-MAP, which keeps the support's labels, as SIAMESE does. The authors
    put `power` in front of the features of a WideResNet.
    """

    features: str = "l2"
    steps: int = 40
    tolerance: float = 1e-3
    dim: int = 40
    rank: int = 5
    penalty: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "dim", "rank", "penalty")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the last assignment, within the subspace."""
        project = partial(discriminant_subspace, real=tasks.real, dim=self.dim, rank=self.rank, penalty=self.penalty)
        return super().transduce(tasks.mapped_together(project).mapped(l2_normalize), state)


def discriminant_subspace(features: Tensor, real: Tensor, dim: int, rank: int, penalty: float) -> Tensor:
    """Features (T, N, D) in the `dim` directions v of smallest vᵀXᵀ(penalty W₁ - W)Xv; real (T, N, 1) as 1 and 0.

    W are the normalised similarities of the items in the `rank` largest singular directions, W₁ those of a graph that
    links all items alike. At most min(N, D) directions are left.
    """
    kind, features, real = features.dtype, to_principal(in_float64(features)), in_float64(real)
    lengths = features.norm(dim=1)
    void = lengths <= _NOISE * lengths.amax(1, keepdim=True)  # directions without any feature come last
    features = features.masked_fill(void[:, None], 0)
    left = (features / lengths.masked_fill(void, 1)[:, None])[..., -rank:]
    graph = penalty * _normalized(real @ real.mT) - _normalized((left @ left.mT).abs())
    scatter = features.mT @ graph @ features
    above = 1 + (penalty + 1) * lengths.square().amax(1, keepdim=True)  # any eigenvalue of the scatter
    scatter = scatter + torch.diag_embed(torch.where(void, above, 0))
    return (features @ torch.linalg.eigh(scatter)[1][..., :dim]).to(kind)


def _normalized(links: Tensor) -> Tensor:
    """D^-½ W D^-½ of the links W (T, N, N) without those to oneself, where D = diag(row sums + 1e-4)."""
    itself = torch.eye(links.shape[1], dtype=torch.bool, device=links.device)
    links = links.masked_fill(itself, 0)
    scale = (links.sum(2, keepdim=True) + 1e-4).rsqrt()
    return links * scale * scale.mT
