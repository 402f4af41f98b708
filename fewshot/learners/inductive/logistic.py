"""Multinomial logistic regression on normalised features (Tian et al. 2020, "a good embedding is all you need")."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import FewshotWarning
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.prototypes import one_hot
from fewshot.learners.registry import register_learner

TOLERANCE = 1e-6  # of the residual, in units of probability
ROUND = 10  # steps between two looks at which tasks have converged


@register_learner("logistic", paper="Tian et al. 2020, Rethinking Few-Shot Image Classification, arXiv:2003.11539")
@dataclass(frozen=True)
class Logistic(Learner):
    """Multinomial logistic regression with an L2 penalty, scikit-learn's objective.

    C: the weight of the summed log loss against half the squared weights; the bias is free of the penalty.
    normalize: scale features to length 1 first, as the paper does.
    steps: the most that the solver takes; a task that needs more is told by a `FewshotWarning`.
    """

    C: float = 1.0
    normalize: bool = True
    steps: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "C", "steps")

    def learn(self, support: Tensor, labels: Tensor, ways: int, base: BaseStatistics | None) -> dict[str, Tensor]:
        """Weight (T, D, ways) and bias (T, 1, ways)."""
        support = l2_normalize(support) if self.normalize else support
        dual, bias, converged = logistic(support @ support.mT, one_hot(labels, ways, support), self.C, self.steps)
        if not converged.all():
            warnings.warn(
                f"logistic: {int((~converged).sum())} of {len(converged)} tasks had not converged after {self.steps} "
                "steps; raise steps or lower C",
                FewshotWarning,
                stacklevel=3,
            )
        return {"weight": support.mT @ dual, "bias": bias}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Linear logits."""
        query = l2_normalize(query) if self.normalize else query
        return query @ state["weight"] + state["bias"]


def logistic(gram: Tensor, targets: Tensor, C: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise C * log loss + |weight|² / 2 over weight = supportᵀ dual and bias; which tasks converged comes third.

    gram (T, S, S) of the support, targets (T, S, W) one-hot with rows of zeros for padding -> dual (T, S, W),
    bias (T, 1, W), converged (T,). The optimum is where dual = C (targets - probabilities), with columns that sum to
    zero. Each step minimises the quadratic that bounds the loss from above (Böhning 1992, Multinomial logistic
    regression algorithm), so it needs one inverse a task and no line search. A task stops by itself, at the same step
    whatever tasks are beside it.
    """
    dual, bias = torch.zeros_like(targets), torch.zeros_like(targets[:, :1])
    inverse = torch.linalg.inv(torch.eye(gram.shape[1]).to(gram) + C / 2 * gram)
    running = torch.arange(len(gram), device=gram.device)
    for _ in range(0, steps, ROUND):
        part = (gram[running], inverse[running], targets[running], dual[running], bias[running])
        dual[running], bias[running], residual = _descend(*part, C)
        running = running[residual > TOLERANCE]
        if not len(running):
            break
    converged = torch.ones(len(gram), dtype=torch.bool, device=gram.device)
    converged[running] = False
    return dual, bias, converged


def _descend(
    gram: Tensor, inverse: Tensor, targets: Tensor, dual: Tensor, bias: Tensor, C: float
) -> tuple[Tensor, Tensor, Tensor]:
    """A round of steps; the largest residual (T,) that the last one started from comes third."""
    real = targets.sum(2, keepdim=True)
    absent = targets.sum(1, keepdim=True) == 0
    reply = inverse @ real
    for _ in range(ROUND):
        logits = (gram @ dual + bias).masked_fill(absent, -torch.inf)
        residual = dual + C * (logits.softmax(2) * real - targets)
        change = inverse @ residual
        shift = change.sum(1, keepdim=True) / reply.sum(1, keepdim=True)
        dual, bias = dual - (change - reply * shift), bias - shift * 2 / C
    return dual, bias, residual.abs().amax((1, 2)) / C
