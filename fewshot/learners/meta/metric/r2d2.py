"""R2D2: ridge regression on top of the backbone, in closed form (Bertinetto et al. 2019, eq. 5 and 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from fewshot.learners.checks import check_positive
from fewshot.learners.inductive.ridge import ridge
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import MetricLearner
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork


class RidgeHead(EpisodicNetwork):
    """Least squares to one-hot labels; the penalty and the scale of the logits are learned, as their logarithms."""

    def __init__(self, penalty: float, scale: float) -> None:
        super().__init__()
        self.log_penalty = nn.Parameter(torch.tensor(log(penalty)))
        self.log_scale = nn.Parameter(torch.tensor(log(scale)))

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D), eq. 5."""
        return {"weight": ridge(support.features, support.members, self.log_penalty.exp())}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The regression's outputs, scaled (eq. 6); its common offset makes no difference to a softmax."""
        return self.log_scale.exp() * (query @ state["weight"].mT)


@register_meta_learner(
    "r2d2", paper="Bertinetto et al. 2019, Meta-learning with differentiable closed-form solvers, arXiv:1805.08136"
)
@dataclass(frozen=True)
class R2D2(MetricLearner):
    """Ridge regression whose penalty and scale are learned with the backbone; penalty, scale: at the start."""

    penalty: float = 1.0
    scale: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "penalty", "scale")

    def head(self, dim: int) -> RidgeHead:
        """The regression, with penalty and scale as they are before training; it serves any number of dimensions."""
        return RidgeHead(self.penalty, self.scale)
