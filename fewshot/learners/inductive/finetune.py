"""Baseline: a linear head trained on the support (Chen et al. 2019, section 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.inductive.support_training import SupportTraining, residual
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner("finetune", paper="Chen et al. 2019, A Closer Look at Few-shot Classification, arXiv:1904.04232")
@dataclass(frozen=True)
class Finetune(SupportTraining):
    """A linear head with bias, trained on the support by gradient descent: the Baseline of the paper.

    rate, momentum, decay: of gradient descent; epochs and batch: the number of steps, `epochs` times the batches of a
    support. It starts at zero where the paper starts at random, and a step sees the whole support where the paper
    draws four items. Features are taken as they are. easyfsl trains class means under cosines, with Adam: that is
    closer to `cosine`.
    """

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D) and bias (T, 1, ways)."""
        features, real = support.features, support.real
        # a weight that starts at zero is a sum of support features: it is learned by its coefficients; a feature that
        # is 1 everywhere gives the bias
        wide = in_float64(features)
        gram, targets = wide @ wide.mT + real @ real.mT, support.members.to(wide.dtype)
        start, items = [torch.zeros_like(targets)], real.sum((1, 2))
        dual = self.descend(_gradients, [gram, targets], start, items)[0].to(features.dtype)
        return {"weight": dual.mT @ features, "bias": dual.sum(1, keepdim=True)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways), linear in the query (T, Q, D)."""
        return query @ state["weight"].mT + state["bias"]


def _gradients(gram: Tensor, targets: Tensor, dual: Tensor) -> list[Tensor]:
    return [residual(gram @ dual, targets)]
