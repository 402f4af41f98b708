"""Baseline++: a head of cosines trained on the support (Chen et al. 2019, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.inductive.support_training import SupportTraining, residual
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support

START_LENGTH = 1 / sqrt(3)  # what a row of torch's random linear layer has on average


@register_learner("cosine", paper="Chen et al. 2019, A Closer Look at Few-shot Classification, arXiv:1904.04232")
@dataclass(frozen=True)
class Cosine(SupportTraining):
    """Cosines to a vector of each class, times a norm of each class and a scale, trained: the paper's Baseline++.

    scale: times all logits; the authors take 2, and 10 for more than 200 classes. rate, momentum, decay: of gradient
    descent; epochs and batch: the number of steps, `epochs` times the batches of a support. Vectors start at the class
    means where the paper starts at random, and a step sees the whole support where the paper draws four items. easyfsl
    calls a head of cosines from class means, trained with Adam at scale 1, `Finetune`.
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "scale")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D): vectors of the length of their norm, for features of length 1."""
        features = l2_normalize(support.features)
        wide = in_float64(features)
        gram, targets = wide @ wide.mT, support.members.to(wide.dtype)
        # vectors that start at class means stay sums of support features: they are learned by their coefficients
        means = targets / targets.sum(1, keepdim=True).clamp(min=1)
        start = means * START_LENGTH * _inverse_lengths(gram @ means, means)
        norms = torch.full_like(start[:, :1], START_LENGTH)
        gradients, items = partial(_gradients, self.scale), support.real.sum((1, 2))
        dual, norms = self.descend(gradients, [gram, targets], [start, norms], items)
        dual = dual * norms * _inverse_lengths(gram @ dual, dual)
        return {"weight": dual.to(features.dtype).mT @ features}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways): the cosines of query (T, Q, D) and class vectors, times `scale`."""
        return self.scale * (l2_normalize(query) @ state["weight"].mT)


def _gradients(scale: float, gram: Tensor, targets: Tensor, dual: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
    """Of the coefficients (T, S, W) and of the norms (T, 1, W)."""
    products = gram @ dual
    inverse = _inverse_lengths(products, dual)
    cosines = products * inverse
    by_logits = scale * residual(scale * norms * cosines, targets)
    by_norms = (by_logits * cosines).sum(1, keepdim=True)
    return norms * inverse * (by_logits - dual * inverse * by_norms), by_norms


def _inverse_lengths(products: Tensor, dual: Tensor) -> Tensor:
    """One over the length (T, 1, W) of each vector, by its coefficients and its products with the support; 0 for 0."""
    squared = (products * dual).sum(1, keepdim=True)
    return torch.where(squared > 1e-24, squared.clamp(min=1e-24).rsqrt(), 0)
