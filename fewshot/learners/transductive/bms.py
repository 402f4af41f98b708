"""BMS, boosted min-size Sinkhorn: classes are linear models, and hold at least so many queries (Hu et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.prototypes import one_hot
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.sinkhorn import sinkhorn
from fewshot.learners.transductive.tasks import Tasks

_SINKHORN_STEPS = 50


@register_learner(
    "bms",
    paper="Hu et al. 2022, Squeezing Backbone Feature Distributions to the Max for Efficient Few-Shot Learning, "
    "arXiv:2110.09446",
)
@dataclass(frozen=True)
class BMS(TransductiveLearner):
    """A linear model, trained on what optimal transport assigns to classes of a least size, and again.

    The least size is the fewest shots of a class at first, then the fewest queries that fall to one, so classes need
    not be equal. lam: how sharp the assignment is, times the cosine; steps: the assignments; epochs: of gradient
    descent from the new class means, with rate and momentum; the authors take 0, 20 or 40 by data set. Their code
    counts the support among what falls to a class, and so comes near to equal classes at more than one shot.
    """

    features: str = "power+span+l2+centre-all+l2"
    lam: float = 8.5
    steps: int = 20
    epochs: int = 20
    rate: float = 0.1
    momentum: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "lam", "steps", "rate")
        if self.epochs < 0 or not 0 <= self.momentum < 1:
            raise InvalidInput(
                f"bms: epochs must be 0 or more and momentum from 0 to below 1, found {self.epochs} and {self.momentum}"
            )

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the last assignment."""
        start = (l2_normalize(tasks.support_means()), _smallest(tasks.counts, tasks.present))
        assignment, _ = alternate(tasks, start, self._assign, self._update, self.steps - 1)
        return log_assignment(assignment)

    def _assign(self, tasks: Tasks, weight: Tensor, least: Tensor) -> Tensor:
        equal = tasks.equal_shares * tasks.query_count
        mass = torch.minimum(least.clamp(min=1e-6), equal)  # a present class of mass 0 would pass for an absent one
        scores = self.lam * (tasks.query @ weight.mT)
        return sinkhorn(scores, mass, tasks.real_query, steps=_SINKHORN_STEPS, at_least=True)

    def _update(self, tasks: Tasks, assignment: Tensor, weight: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
        sizes = (one_hot(assignment.argmax(2), tasks.ways, assignment) * tasks.real_query).sum(1)
        weight = l2_normalize(tasks.weighted_means(assignment))
        return self._train(tasks, assignment, weight), _smallest(sizes, tasks.present)

    def _train(self, tasks: Tasks, assignment: Tensor, weight: Tensor) -> Tensor:
        """Minimise the mean log loss of softmax(scale cosine) by gradient descent over unit weights and the scale."""
        features, targets = torch.cat([tasks.support, tasks.query], 1), torch.cat([tasks.members, assignment], 1)
        mass = targets.sum(2, keepdim=True)
        count = (tasks.counts.sum(1, keepdim=True) + tasks.query_count)[..., None]
        absent = ~tasks.present[:, None]
        scale = torch.ones_like(count)
        weight_speed, scale_speed = torch.zeros_like(weight), torch.zeros_like(scale)
        for _ in range(self.epochs):
            cosine = features @ weight.mT
            error = (class_softmax((scale * cosine).masked_fill(absent, -torch.inf)) * mass - targets) / count
            pull = (error * cosine).sum(1)[..., None]
            weight_speed = self.momentum * weight_speed + scale * (error.mT @ features - pull * weight)
            scale_speed = self.momentum * scale_speed + pull.sum(1, keepdim=True)
            weight, scale = l2_normalize(weight - self.rate * weight_speed), scale - self.rate * scale_speed
        return weight


def _smallest(sizes: Tensor, present: Tensor) -> Tensor:
    """The smallest of the sizes (T, W) of the classes a task has (T, 1)."""
    return sizes.masked_fill(~present, torch.inf).amin(1, keepdim=True)
