"""Multinomial logistic regression on normalised features (Tian et al. 2020, "a good embedding is all you need")."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from fewshot.errors import FewshotWarning
from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.iteration import until_settled
from fewshot.learners.learner import Learner
from fewshot.learners.precision import in_float64
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support

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

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D) and bias (T, 1, ways)."""
        features = l2_normalize(support.features) if self.normalize else support.features
        dual, bias, converged = logistic(features @ features.mT, support.members, self.C, self.steps)
        if not converged.all():
            warnings.warn(
                f"logistic: {int((~converged).sum())} of {len(converged)} tasks had not converged after {self.steps} "
                "steps; raise steps or lower C",
                FewshotWarning,
                stacklevel=3,
            )
        return {"weight": dual.mT @ features, "bias": bias}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways), linear in the query (T, Q, D), which is scaled to length 1 where the support was."""
        query = l2_normalize(query) if self.normalize else query
        return query @ state["weight"].mT + state["bias"]


def logistic(gram: Tensor, targets: Tensor, C: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise C * log loss + |weight|² / 2 over weight = dualᵀ support and bias; which tasks converged comes third.

    gram (T, S, S) of the support, targets (T, S, W) one-hot with rows of zeros for padding -> dual (T, S, W),
    bias (T, 1, W), converged (T,). The optimum is where dual = C (targets - probabilities).

    A step minimises the quadratic that bounds the loss from above (Böhning 1992, Multinomial logistic regression
    algorithm), so it is one fixed matrix a task and needs no line search; momentum (Nesterov), started again where it
    leads uphill, makes it fast. A task stops by itself, at the same step whatever tasks are beside it.
    """
    kind = gram.dtype
    gram, targets = in_float64(gram), in_float64(targets)
    real = targets.sum(2, keepdim=True)
    task = [torch.cat([gram, real], 2), _bound_solver(gram, real, C), targets]
    start = torch.cat([torch.zeros_like(targets), torch.zeros_like(targets[:, :1])], 1)  # dual and, last, bias
    state = [start, start, torch.zeros_like(start[:, :1, :1])]
    (solution, *_), converged = until_settled(partial(_step, C), task, state, steps, TOLERANCE, look=ROUND)
    solution = solution.to(kind)
    return solution[:, :-1], solution[:, -1:], converged


def _bound_solver(gram: Tensor, real: Tensor, C: float) -> Tensor:
    """The matrix (T, S + 1, S) from a residual to the change of dual and bias that minimises the bound."""
    inverse = torch.linalg.inv(torch.eye(gram.shape[1]).to(gram) + C / 2 * gram)
    reply = inverse @ real
    shift = (inverse * real).sum(1, keepdim=True) / (reply * real).sum(1, keepdim=True)
    return torch.cat([inverse - reply @ shift, shift * 2 / C], 1)


def _step(
    C: float, design: Tensor, solver: Tensor, targets: Tensor, point: Tensor, ahead: Tensor, age: Tensor
) -> tuple[list[Tensor], Tensor]:
    """From the point (T, S + 1, W) and the one that momentum leads to, the next of both, and the residual (T,)."""
    real, absent = targets.sum(2, keepdim=True), targets.sum(1, keepdim=True) == 0
    probabilities = class_softmax((design @ ahead).masked_fill(absent, -torch.inf)) * real
    residual = ahead[:, :-1] + C * (probabilities - targets)
    following = ahead - solver @ residual
    change = following - point
    uphill = (residual * change[:, :-1]).sum((1, 2), keepdim=True) > 0
    age = torch.where(uphill, 0, age + 1)
    return [following, following + age / (age + 3) * change, age], residual.abs().amax((1, 2)) / C
