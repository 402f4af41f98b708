"""GDA: a Gaussian discriminant of the images beside the words (Wang et al. 2024, eq. 5 to 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.by_class import class_sums, of_class
from fewshot.learners.vision_language.learner import WordLearner
from fewshot.learners.words import Words

ROUNDING = 1e-10  # of the squared length of the features: a spread that is only rounding


@register_learner(
    "gda",
    paper="Wang et al. 2024, A Hard-to-Beat Baseline for Training-free CLIP-Based Adaptation, arXiv:2402.04087",
)
@dataclass(frozen=True)
class GDA(WordLearner):
    """Zero-shot logits plus a discriminant of Gaussian classes that share a covariance; nothing is trained.

    alpha: weight of the discriminant. The authors choose it on validation images among the powers of ten from 1e-4 to
    100; on Caltech-101 their choice grows from 1e-3 at 1 shot to 1 at 8. Where no class has two different items there
    is no covariance: its pseudo-inverse, which is zero, leaves the words alone. (The authors learn from ten crops of
    each image instead.)
    """

    alpha: float = 1.0

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """Weight (T, ways, D) and offset (T, 1, ways)."""
        weight, offset = discriminant(features, support.labels, support.ways)
        return {"weight": weight, "offset": offset}

    def image_logits(self, state: Mapping[str, Tensor], query: Tensor) -> Tensor:
        """The discriminant, times alpha."""
        return torch.baddbmm(state["offset"], query, state["weight"].mT, beta=self.alpha, alpha=self.alpha)


def discriminant(features: Tensor, labels: Tensor, ways: int) -> tuple[Tensor, Tensor]:
    """Weight (T, W, D) and offset (T, 1, W) of each class's log density, less what is equal for all classes.

    With means mu, the covariance S of n items less their class means, and P = D pinv((n - 1) S + tr(S) I), a class has
    the weight P mu and the offset -mu P mu / 2; its share 1 / W is equal for all. features (T, S, D), labels (T, S) in
    [0, W) or -1 for padding.
    """
    real = (labels >= 0)[..., None].to(features.dtype)
    items = real.sum(1, keepdim=True)
    means = class_sums(features, labels, ways) / class_sums(real, labels, ways).clamp(min=1)
    deviations = of_class(means, labels).sub_(features).mul_(real)
    spread = squared_length(deviations) / (items - 1).clamp(min=1)  # tr(S)
    varies = spread > ROUNDING * squared_length(features) / items
    # means and queries moved by the same vector change every class alike, and small numbers round less
    centre = features.sum(1, keepdim=True) / items
    solved = regularised_solve(deviations, torch.where(varies, spread, 1), means - centre)
    weight = torch.where(varies, features.shape[2] * solved, 0)
    return weight, -(weight * (means + centre)).sum(2)[:, None] / 2


def regularised_solve(factor: Tensor, ridge: Tensor, vectors: Tensor) -> Tensor:
    """The inverse of factor' factor + ridge I times vectors (T, W, D), for factor (T, S, D) and ridge (T, 1, 1) > 0.

    Cholesky's factorisation with S or D unknowns, the fewer (Woodbury's identity).
    """
    if factor.shape[1] >= factor.shape[2]:
        return torch.cholesky_solve(in_float64(vectors).mT, _cholesky(factor.mT @ factor, ridge)).mT.to(vectors.dtype)
    along = torch.cholesky_solve(in_float64(factor @ vectors.mT), _cholesky(factor @ factor.mT, ridge))
    return (vectors - along.mT.to(vectors.dtype) @ factor) / ridge


def squared_length(features: Tensor) -> Tensor:
    """The sum (T, 1, 1) of all squares of features (T, S, D)."""
    return torch.linalg.vector_norm(features, dim=(1, 2), keepdim=True).square()


def _cholesky(matrix: Tensor, ridge: Tensor) -> Tensor:
    matrix = in_float64(matrix)
    matrix.diagonal(dim1=1, dim2=2).add_(in_float64(ridge)[:, 0])
    return torch.linalg.cholesky(matrix)
