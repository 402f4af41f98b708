"""BD-CSPN: class means rectified by the queries that lie nearest to them (Liu et al. 2020, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.distances import cosine_similarity, shifted_products, squared_length
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import register_learner
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

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "scale")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Scaled cosines to the rectified class means."""
        shift = tasks.support_centre - tasks.query_centre  # eq. 5
        squares = squared_length(tasks.query)
        means = rectified_means(tasks, shift, squares, self.scale)
        moved = shift if self.classify == "shifted" else torch.zeros_like(shift)
        return self.scale * shifted_cosine(tasks.query, squares, moved, means)


def rectified_means(tasks: Tasks, shift: Tensor, squares: Tensor, scale: float) -> Tensor:
    """The class means (T, W, D) of the items, queries moved by shift (T, 1, D), that lie nearest to the support's.

    squares (T, Q, 1): the squared lengths of the queries before they are moved.

    Support and queries alike belong to the class of the largest cosine, and weigh as much as their softmax of `scale`
    times the cosines says; a weighted item counts one in the mean. A class to which nothing is nearest keeps
    the mean of its support.
    """
    means = tasks.support_means()
    support = _weights(tasks, cosine_similarity(tasks.support, means), scale) * tasks.real_support
    query = _weights(tasks, shifted_cosine(tasks.query, squares, shift, means), scale) * tasks.real_query
    counts = ((support > 0).sum(1) + (query > 0).sum(1))[..., None]
    sums = support.mT @ tasks.support + query.mT @ tasks.query + query.sum(1)[..., None] * shift
    return torch.where(counts > 0, sums / counts.clamp(min=1), means)


def shifted_cosine(items: Tensor, squares: Tensor, shift: Tensor, means: Tensor) -> Tensor:
    """Cosines (T, N, W) of items + shift with means (T, W, D); the arguments are those of `shifted_products`."""
    products, moved = shifted_products(items, squares, shift, means)
    lengths = moved.clamp(min=1e-12).sqrt() * means.norm(dim=2).clamp(min=1e-12)[:, None]
    return (products / lengths).clamp(-1, 1)


def _weights(tasks: Tasks, cosines: Tensor, scale: float) -> Tensor:
    """The probability of the likeliest class of each item (T, N, W), or of each that ties; zero for the others."""
    cosines = cosines.masked_fill(~tasks.present[:, None], -torch.inf)
    return class_softmax(scale * cosines) * (cosines >= cosines.amax(2, keepdim=True) - TIE)
