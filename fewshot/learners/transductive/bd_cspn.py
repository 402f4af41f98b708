"""BD-CSPN: class means rectified by the queries that lie nearest to them (Liu et al. 2020, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.items import ItemTasks
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

TIE = 1e-6  # cosines that differ by less do so by rounding


@register_learner("bd-cspn", paper="Liu et al. 2020, Prototype Rectification for Few-Shot Learning, arXiv:1911.10713")
@dataclass(frozen=True)
class BDCSPN(TransductiveLearner):
    """Queries moved to where the support is, then class means that take in the items nearest to them, by cosine.

    scale: times the cosine, in the weights of the items and in the logits. classify: the queries as they were moved,
    or, as some later code does, as they were. easyfsl takes neither centring nor scaling nor `scale`, so that its
    weights are almost equal, and classifies the queries as they were.
    """

    features: str = "centre-base+l2"
    scale: float = 10.0
    classify: Literal["shifted", "unshifted"] = "shifted"

    preprocesses_itself: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "scale")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Scaled cosines to the rectified class means."""
        items = ItemTasks.of(tasks, self.features, state["base_mean"])
        shift, means = rectified_means(items, self.scale)
        if self.classify == "shifted":
            return self.scale * items.query.moved_cosines(shift, means)
        return self.scale * items.query.cosines(means)


def rectified_means(tasks: ItemTasks, scale: float) -> tuple[Tensor, Tensor]:
    """How queries are moved (T, 1, D), and the means (T, W, D) of the items that lie nearest to the support's means.

    Support and moved queries alike belong to the class of the largest cosine, and weigh as much as their softmax of
    `scale` times the cosines says; a weighted item counts one in the mean. A class to which nothing is nearest keeps
    the mean of its support.
    """
    shift, means = tasks.shift, tasks.support_means
    support = _weights(tasks, tasks.support.cosines(means), scale) * tasks.members.sum(2, keepdim=True)
    query = _weights(tasks, tasks.query.moved_cosines(shift, means), scale) * tasks.real_query
    counts = ((support > 0).sum(1) + (query > 0).sum(1))[..., None]
    sums = tasks.support.sums(support) + tasks.query.sums(query) + query.sum(1)[..., None] * shift
    return shift, torch.where(counts > 0, sums / counts.clamp(min=1), means)


def _weights(tasks: ItemTasks, cosines: Tensor, scale: float) -> Tensor:
    """The probability of the likeliest class of each item (T, N, W), or of each that ties; zero for the others."""
    cosines = cosines.masked_fill(~tasks.present[:, None], -torch.inf)
    return class_softmax(scale * cosines) * (cosines >= cosines.amax(2, keepdim=True) - TIE)
