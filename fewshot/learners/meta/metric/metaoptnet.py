"""MetaOptNet: a support vector machine on top of the backbone, differentiated at its optimum (Lee et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.inductive.svm import crammer_singer
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import MetricLearner
from fewshot.learners.precision import in_float64
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork

JITTER = 1e-10  # of the mean squared length: the Gram matrix may have less than full rank


class SVMHead(EpisodicNetwork):
    """The machine of Crammer and Singer, its scores times a learned scale."""

    def __init__(self, C: float, scale: float, steps: int) -> None:
        super().__init__()
        self.C, self.steps = C, steps
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D), eq. 5."""
        features = in_float64(support.features)
        gram, targets = features @ features.mT, in_float64(support.members)
        with torch.no_grad():
            dual, _ = crammer_singer(gram, targets, self.C, self.steps)
        weight = differentiable_dual(gram, targets, dual, self.C).mT @ features
        return {"weight": weight.to(support.features.dtype)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways): the machine's scores, times the learned scale."""
        return self.scale * (query @ state["weight"].mT)


def differentiable_dual(gram: Tensor, targets: Tensor, dual: Tensor, C: float) -> Tensor:
    """The optimum `dual` (T, S, W) again, as a function of gram (T, S, S) that gradients pass through.

    The share of an item, C targets - dual, lies on a simplex (eq. 6). Shares that are zero stay so under a small change
    of gram; over the free ones the objective has no bound, only each item's sum, and its optimum is the solution of a
    linear system. Where a share is just about to leave zero the loss has a kink, and this is the slope on one side.
    """
    free = (dual < C * targets).to(gram.dtype)
    shares = free / free.sum(2, keepdim=True)
    start = C * (targets - shares)
    # turns any change of an item (W) into one that leaves its zeros and its sum as they are: (T, S, W, W)
    allowed = torch.diag_embed(free) - free[..., None] * shares[..., None, :]
    curvature = torch.einsum("tiab,tjbc,tij->tiajc", allowed, allowed, gram).flatten(3).flatten(1, 2)
    downhill = allowed @ (targets - gram @ start)[..., None]
    # the rest is left at zero; a jitter keeps the system regular
    jitter = JITTER * gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None, None]
    rest = (1 + jitter) * torch.eye(free.shape[2]).to(free) - allowed
    kept = torch.einsum("tiab,ij->tiajb", rest, torch.eye(free.shape[1]).to(free)).flatten(3).flatten(1, 2)
    change = torch.linalg.solve(curvature + kept, downhill.flatten(1, 2))
    return start + change.view_as(start)


@register_meta_learner(
    "metaoptnet", paper="Lee et al. 2019, Meta-Learning with Differentiable Convex Optimization, arXiv:1904.03758"
)
@dataclass(frozen=True)
class MetaOptNet(MetricLearner):
    """A linear support vector machine, trained anew on each support, through whose optimum gradients pass.

    C: the weight of the summed margin violations against half the squared weights; scale: of the scores at the start of
    training, which learns it; smoothing: of the query labels in the loss, given to all classes alike (section 4.2);
    steps: the most that the solver takes. The paper trains with more shots (15) than it tests.
    """

    C: float = 0.1
    scale: float = 1.0
    smoothing: float = 0.1
    steps: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "C", "scale", "steps")
        if not 0 <= self.smoothing < 1:
            raise InvalidInput(f"{self.name}: smoothing must be in [0, 1), found {self.smoothing!r}")

    def head(self, dim: int) -> SVMHead:
        """The machine, with its scale as it is before training; it serves any number of dimensions."""
        return SVMHead(self.C, self.scale, self.steps)

    def loss(self, head: EpisodicNetwork, support: Support, query: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy with the smoothed query labels (T, Q), and the logits (T, Q, ways)."""
        logits = head.logits(support, query)
        return cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=self.smoothing), logits
