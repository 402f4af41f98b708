"""Linear discriminant analysis with a covariance shrunk to what a few samples can support (Friedman 1989)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.learner import Learner
from fewshot.learners.precision import in_float64
from fewshot.learners.prototypes import class_means
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support

LEAST = 1e-3  # of a share that is estimated, so that every covariance has an inverse
ROUNDING = 1e-10  # of the mean square of the features: a variance that is only rounding


@register_learner("lda", paper="Chen et al. 2010, Shrinkage Algorithms for MMSE Covariance Estimation, arXiv:0907.4698")
@dataclass(frozen=True)
class LDA(Learner):
    """Gaussian classes of equal weight that share a covariance: that within the classes of the support, shrunk.

    shrinkage: the share, above 0 and at most 1, of the identity times the mean variance, or how that share is estimated
    for each task: `oas` (Chen et al. 2010, eq. 23) or `ledoit-wolf` (Ledoit and Wolf 2004), as in scikit-learn. A
    support that does not vary within its classes, as with one shot, has the identity as covariance: the nearest class
    mean wins.
    """

    shrinkage: float | Literal["oas", "ledoit-wolf"] = "oas"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.shrinkage, str) and not 0 < self.shrinkage <= 1:
            raise InvalidInput(f"lda: shrinkage must be above 0 and at most 1, found {self.shrinkage!r}")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D) and bias (T, 1, ways)."""
        kind, features, real = support.features.dtype, in_float64(support.features), in_float64(support.real)
        centre = features.sum(1, keepdim=True) / real.sum(1, keepdim=True)
        means = class_means(features, support.labels, support.ways)
        deviations = (features - support.members.to(features) @ means) * real
        negligible = ROUNDING * features.square().mean((1, 2))
        weight = self._precision_times(means - centre, deviations, real.sum((1, 2)), negligible)
        bias = -(weight * (means + centre)).sum(2) / 2
        return {"weight": weight.to(kind), "bias": bias[:, None].to(kind)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The log density of each class, less what is equal for all."""
        return query @ state["weight"].mT + state["bias"]

    def _precision_times(self, vectors: Tensor, deviations: Tensor, count: Tensor, negligible: Tensor) -> Tensor:
        """The inverse of the shrunk covariance times vectors (T, W, D); deviations (T, S, D) of `count` (T,) items.

        Solved with S or D unknowns, the fewer (Woodbury's identity).
        """
        samples, dim = deviations.shape[1:]
        wide = samples < dim
        scatter = deviations @ deviations.mT if wide else deviations.mT @ deviations
        spread = scatter.diagonal(dim1=1, dim2=2).sum(1) / count / dim
        share = self._share(deviations, scatter, count)
        ridge = share * torch.where(spread > negligible, spread, 1 / share)
        share, ridge, count = (part[:, None, None] for part in (share, ridge, count))
        matrix = (1 - share) / count * scatter
        matrix.diagonal(dim1=1, dim2=2).add_(ridge[:, 0])
        if not wide:
            return torch.linalg.solve(matrix, vectors.mT).mT
        along = torch.linalg.solve(matrix, deviations @ vectors.mT)
        return (vectors - (1 - share) / count * along.mT @ deviations) / ridge

    def _share(self, deviations: Tensor, scatter: Tensor, count: Tensor) -> Tensor:
        """The share of the identity (T,)."""
        if not isinstance(self.shrinkage, str):
            return torch.full_like(count, self.shrinkage)
        dim = deviations.shape[2]
        squares = (scatter / count[:, None, None]).square().sum((1, 2))
        trace = scatter.diagonal(dim1=1, dim2=2).sum(1) / count
        if self.shrinkage == "oas":
            return oas(squares, trace, count, dim)
        fourth = deviations.square().sum(2).square().sum(1) / count
        return _bounded((fourth - squares) / count, squares - trace.square() / dim)


def oas(squares: Tensor, trace: Tensor, count: Tensor, dim: int) -> Tensor:
    """The share of the identity that suits a covariance of `count` items, by its squared entries' sum and its trace.

    In one dimension, or where all variances are equal, any share gives the same covariance; it is 1.
    """
    return _bounded(squares + trace.square(), (count + 1) * (squares - trace.square() / dim))


def _bounded(part: Tensor, whole: Tensor) -> Tensor:
    return (part / whole.clamp(min=0)).nan_to_num(1.0).clamp(LEAST, 1)
