"""Soft k-means: class means refined by unlabelled items (Ren et al. 2018, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import log
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.inductive.simpleshot import SimpleShot
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.transductive.alternation import alternate
from fewshot.learners.transductive.tasks import Tasks


@register_learner(
    "soft-kmeans", paper="Ren et al. 2018, Meta-Learning for Semi-Supervised Few-Shot Classification, arXiv:1803.00676"
)
@dataclass(frozen=True)
class SoftKMeans(SimpleShot):
    """Nearest class mean, where the unlabelled items belong to the classes as much as they are near.

    transform: as in SimpleShot; the paper's features are as its network leaves them. scale: times the squared
    distances, for features that were not trained for scale 1. distractors: "cluster" gives the items of other classes
    a cluster of their own at the origin (eq. 5), as wide as `radius` where the classes are 1 wide; the paper trains the
    radius with its network. steps: how often the means move. The paper's third model, which masks distractors, needs a
    network trained to do it and is not here. Queries are never used.
    """

    transform: Literal["UN", "L2N", "CL2N"] = "UN"
    distractors: Literal["none", "cluster"] = "none"
    radius: float = 1.0
    scale: float = 1.0
    steps: int = 1

    uses_unlabelled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "radius", "scale", "steps")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The refined means (T, ways, D) of the transformed items, and the centre (D,)."""
        state = super().learn(support)
        if support.unlabelled.shape[1] == 0:
            return state
        tasks = Tasks(
            support.features, support.members, support.unlabelled, support.unlabelled_mask, support.present
        ).mapped(partial(self.transformed, centre=state["centre"]))
        _, (prototypes,) = alternate(tasks, (state["prototypes"],), self._assign, self._update, self.steps)
        return {**state, "prototypes": prototypes}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Minus the scaled squared distance of each transformed query to each mean."""
        return self.scale * super().score(state, query, mask)

    def _assign(self, tasks: Tasks, prototypes: Tensor) -> Tensor:
        scores = -self.scale * squared_distance(tasks.query, prototypes)
        if self.distractors == "none":
            return tasks.softmax(scores)
        scores = scores.masked_fill(~tasks.present[:, None], -torch.inf)
        elsewhere = -self.scale * tasks.query.square().sum(2, keepdim=True) / self.radius**2 - log(self.radius)
        return torch.cat([scores, elsewhere], 2).softmax(2)[..., :-1] * tasks.real_query

    def _update(self, tasks: Tasks, assignment: Tensor, prototypes: Tensor) -> tuple[Tensor]:
        return (tasks.weighted_means(assignment),)
