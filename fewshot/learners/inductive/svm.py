"""Multi-class support vector machine of Crammer and Singer (the head of MetaOptNet, Lee et al. 2019, eq. 5 and 6)."""

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
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support

TOLERANCE = 1e-3  # of a logit
ROUND = 10  # steps between two looks at which tasks have converged


@register_learner(
    "svm", paper="Lee et al. 2019, Meta-Learning with Differentiable Convex Optimization, arXiv:1904.03758"
)
@dataclass(frozen=True)
class SVM(Learner):
    """One linear score a class, without bias, that keeps the true class of each support item a margin ahead.

    C: the weight of the summed margin violations against half the squared weights. normalize: scale features to length
    1 first, which the paper does not. scale: what the scores are multiplied by, a number that MetaOptNet learns.
    steps: the most that the solver takes; a task that needs more is told by a `FewshotWarning`. MetaOptNet's code adds
    1 to the diagonal of the Gram matrix and stops after 15 steps; here it is the paper's problem, solved.
    """

    C: float = 0.1
    normalize: bool = False
    scale: float = 1.0
    steps: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "C", "scale", "steps")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D); warns of tasks that have not converged after `steps`."""
        features = l2_normalize(support.features) if self.normalize else support.features
        dual, converged = crammer_singer(features @ features.mT, support.members, self.C, self.steps)
        if not converged.all():
            warnings.warn(
                f"svm: {int((~converged).sum())} of {len(converged)} tasks had not converged after {self.steps} steps; "
                "raise steps or lower C",
                FewshotWarning,
                stacklevel=3,
            )
        return {"weight": dual.mT @ features}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways): the machine's scores of query (T, Q, D), times `scale`."""
        query = l2_normalize(query) if self.normalize else query
        return self.scale * (query @ state["weight"].mT)


def crammer_singer(gram: Tensor, targets: Tensor, C: float, steps: int) -> tuple[Tensor, Tensor]:
    """Minimise C * margin violations + |weight|² / 2 over weight = dualᵀ support; which tasks converged comes second.

    gram (T, S, S) of the support, targets (T, S, W) one-hot with rows of zeros for padding -> dual (T, S, W),
    converged (T,). A violation is the largest of score + 1 over the other classes, and of the score of the true class,
    less the latter.

    The dual problem is a quadratic over dual = C targets - share, where the share of each item lies on a simplex of
    size C (eq. 6): projected gradient steps with momentum (Nesterov), started again where it leads uphill. The duality
    gap bounds half the squared distance of weight to the optimum, so a task stops when no score of a vector as long as
    its longest item can be off by more than the tolerance.
    """
    kind = gram.dtype
    gram, targets = in_float64(gram), in_float64(targets)
    slope = torch.linalg.matrix_norm(gram, torch.inf)[:, None, None].clamp(min=1e-30)
    zero = torch.zeros_like(targets)
    state = [zero, zero, zero, zero, torch.zeros_like(slope)]
    (dual, *_), converged = until_settled(
        partial(_step, C), [gram, targets, slope], state, steps, TOLERANCE, look=ROUND
    )
    return dual.to(kind), converged


def _step(
    C: float,
    gram: Tensor,
    targets: Tensor,
    slope: Tensor,
    point: Tensor,
    scores: Tensor,
    ahead: Tensor,
    ahead_scores: Tensor,
    age: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """From the point (T, S, W) and the one that momentum leads to, the next of both, and the error of a logit (T,).

    The scores of both, gram times them, go with them.
    """
    real, absent = targets.sum(2, keepdim=True), targets.sum(1, keepdim=True) == 0
    room = C * targets - ahead - (targets - ahead_scores) / slope
    following = C * targets - _to_simplex(room.masked_fill(absent, -torch.inf), C) * real
    following_scores = gram @ following
    change = following - point
    uphill = ((ahead - following) * change).sum((1, 2), keepdim=True) > 0
    age = torch.where(uphill, 0, age + 1)
    momentum = age / (age + 3)
    ahead, ahead_scores = following + momentum * change, following_scores + momentum * (following_scores - scores)
    gap = _duality_gap(C, targets, following, following_scores, absent)
    longest = gram.diagonal(dim1=1, dim2=2).amax(1)
    return [following, following_scores, ahead, ahead_scores, age], (2 * gap.clamp(min=0) * longest).sqrt()


def _to_simplex(points: Tensor, size: float) -> Tensor:
    """The nearest to points (..., W) of those that are not negative and sum to size; zero where a point is -inf."""
    falling = points.sort(-1, descending=True).values
    number = torch.arange(1, points.shape[-1] + 1, device=points.device).to(points.dtype)
    excess = (falling.cumsum(-1) - size) / number
    return (points - excess.amax(-1, keepdim=True)).clamp(min=0)


def _duality_gap(C: float, targets: Tensor, dual: Tensor, scores: Tensor, absent: Tensor) -> Tensor:
    """What the objective (T,) at this dual (T, S, W) and its scores can still fall by, at most."""
    rivals = (scores + 1 - targets).masked_fill(absent, -torch.inf).amax(2)
    violations = (rivals - (scores * targets).sum(2)) * targets.sum(2)
    return (dual * scores).sum((1, 2)) + C * violations.sum(1) - (dual * targets).sum((1, 2))
