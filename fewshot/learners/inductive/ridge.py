"""Ridge regression to one-hot labels, in closed form (the solver of R2D2, Bertinetto et al. 2019, eq. 5 and 6)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.learner import Learner
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner(
    "ridge", paper="Bertinetto et al. 2019, Meta-learning with differentiable closed-form solvers, arXiv:1805.08136"
)
@dataclass(frozen=True)
class Ridge(Learner):
    """Least squares to one-hot labels with an L2 penalty on the weights.

    R2D2 learns the penalty together with a scale of the logits (eq. 6); here both are settings, and scale 1 leaves the
    regression's own outputs, which makes probabilities cautious. The bias is free of the penalty, as in scikit-learn's
    Ridge.
    """

    penalty: float = 1.0
    bias: bool = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "penalty", "scale")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D) and bias (T, 1, ways)."""
        features, targets, real = support.features, support.members, support.real
        if not self.bias:
            return {"weight": ridge(features, targets, self.penalty), "bias": torch.zeros_like(targets[:, :1])}
        count = real.sum(1, keepdim=True)
        centre, share = features.sum(1, keepdim=True) / count, targets.sum(1, keepdim=True) / count
        weight = ridge((features - centre) * real, (targets - share) * real, self.penalty)
        return {"weight": weight, "bias": share - centre @ weight.mT}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The regression's outputs, times the scale."""
        return self.scale * (query @ state["weight"].mT + state["bias"])


def ridge(features: Tensor, targets: Tensor, penalty: float | Tensor) -> Tensor:
    """The weight (T, W, D) that minimises |features weightᵀ - targets|² + penalty |weight|².

    features (T, S, D), targets (T, S, W). Solved with S unknowns a column rather than D (Woodbury's identity).
    """
    gram = features @ features.mT
    gram.diagonal(dim1=1, dim2=2).add_(penalty)
    return torch.linalg.solve(gram, targets).mT @ features
