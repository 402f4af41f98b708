"""BAVARDAGE: a variational Gaussian mixture in features stretched by the base classes' spread (Hu et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.checks import check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.features import l2_normalize, to_principal, to_span
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

_MEAN_WEIGHT = 10.0  # beta 0: how many items at the origin the prior of a class mean is worth
_CLASS_WEIGHT = 2.0  # alpha 0: how many queries of each class the prior of the class shares is worth
_NOISE = 1e-6  # singular values below this share of the largest are rounding


@register_learner(
    "bavardage",
    paper="Hu et al. 2022, Adaptive Dimension Reduction and Variational Inference for Transductive Few-Shot "
    "Classification, arXiv:2209.08527",
)
@dataclass(frozen=True)
class BAVARDAGE(TransductiveLearner):
    """Soft k-means, then a Bayesian Gaussian mixture that infers how large the classes are.

    T_km, T_vb: how sharp an assignment is, times the squared distance and half of it. whiten: directions of the task
    are stretched as narrow as the base classes are in them, but `stretch` times at most; without it all are stretched
    that much. The paper whitens, with features="centre-base+l2", and measures the spread by sums over the items of a
    base class: many items a class, or few dimensions, need a larger T_vb, such as 50. kmeans_steps and steps:
    assignments by each of the two. The paper also projects to the span of the class means, which changes no posterior
    of equal spherical classes.
    """

    features: str = "centre-all+l2"
    T_km: float = 10.0
    T_vb: float = 4.0
    whiten: bool = False
    stretch: float = 5.0
    kmeans_steps: int = 5
    steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "T_km", "T_vb", "stretch", "kmeans_steps", "steps")
        if self.whiten and self.features != "centre-base+l2":
            raise InvalidInput(
                f"{self.name}: whiten needs features='centre-base+l2', which the base classes get too, "
                f"found {self.features!r}"
            )

    @property
    def needs_base_classes(self) -> bool:  # type: ignore[override]
        """Where it whitens."""
        return self.whiten

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The support as it is, and the Cholesky factor (D, D) of the base classes' scatter."""
        state = super().learn(support)
        if self.whiten and support.base is not None:
            state["scatter_factor"] = _scatter_factor(support.base).to(support.features)
        return state

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the mixture's last assignment."""
        tasks, stretched = self._stretched(tasks, state)
        means = tasks.support_means()
        start, _ = alternate(tasks, (means,), self._nearest, self._means, self.kmeans_steps - 1)
        model = self._posterior(stretched, start)
        assignment, _ = alternate(stretched, model, self._assign, self._posterior, self.steps - 1)
        return log_assignment(assignment)

    def _stretched(self, tasks: Tasks, state: Mapping[str, Tensor]) -> tuple[Tasks, Tasks]:
        """The tasks in fewer coordinates, with the same distances, and stretched."""
        if not self.whiten:
            tasks = tasks.mapped_together(to_span)
            return tasks, tasks.mapped(lambda features: self.stretch * features)
        factor = state["scatter_factor"]
        return tasks, tasks.mapped_together(lambda features: whiten_span(features, factor, self.stretch))

    def _nearest(self, tasks: Tasks, means: Tensor) -> Tensor:
        return tasks.softmax(-self.T_km * squared_distance(tasks.query, means))

    def _means(self, tasks: Tasks, assignment: Tensor, means: Tensor) -> tuple[Tensor]:
        return (tasks.weighted_means(assignment),)

    def _assign(self, tasks: Tasks, means: Tensor, assigned: Tensor) -> Tensor:
        """Responsibilities under a variational mixture, of variance 1 / T_vb (Bishop 2006, eq. 10.46 and 10.66)."""
        dim = tasks.present.sum(1, keepdim=True) - 1
        share = (_CLASS_WEIGHT + assigned).digamma()
        doubt = dim / (2 * (_MEAN_WEIGHT + tasks.counts + assigned))
        return tasks.softmax((share - doubt)[:, None] - self.T_vb / 2 * squared_distance(tasks.query, means))

    def _posterior(self, tasks: Tasks, assignment: Tensor, *model: Tensor) -> tuple[Tensor, Tensor]:
        """The means (T, W, D), drawn to the origin, and the number of queries (T, W) of each class."""
        assigned = assignment.sum(1)
        mass = tasks.counts + assigned
        return tasks.weighted_means(assignment) * (mass / (_MEAN_WEIGHT + mass))[..., None], assigned


def whiten_span(features: Tensor, factor: Tensor, most: float) -> Tensor:
    """Features (T, N, D) in coordinates of their span (T, N, min(N, D)) that whiten it, none stretched above `most`.

    factor (D, D): the Cholesky factor of the matrix S to whiten by. Within a span of orthonormal directions U, the
    spread is the inverse of UᵀS⁻¹U, whose directions are stretched one by one.
    """
    wide, factor = in_float64(features), in_float64(factor)
    coordinates = to_principal(wide)
    lengths = coordinates.norm(dim=1, keepdim=True)
    void = lengths <= _NOISE * lengths.amax(2, keepdim=True)
    units = (coordinates / lengths.masked_fill(void, 1)).masked_fill(void, 0)
    directions = wide.mT @ (units / lengths.masked_fill(void, 1))
    half = torch.linalg.solve_triangular(factor, directions, upper=False)
    narrowness, axes = torch.linalg.eigh(half.mT @ half)
    return (coordinates @ axes * narrowness.clamp(min=0).sqrt().clamp(max=most)[:, None]).to(features.dtype)


@lru_cache(maxsize=2)
def _scatter_factor(base: BaseStatistics) -> Tensor:
    """The Cholesky factor (D, D) of the mean scatter matrix of the base classes, of features centred and scaled."""
    if base.features is None:
        raise InvalidInput("these base statistics hold only a mean; make them with labels to know the classes")
    normalised = BaseStatistics.from_features(l2_normalize(base.features - base.mean), base.labels)
    items, classes = len(base.features), len(base.class_counts)
    scatter = in_float64(normalised.within_covariance) * max(1, items - classes) / classes
    scatter.diagonal().add_(1e-6)
    return torch.linalg.cholesky(scatter)
