"""alpha-TIM: TIM with alpha-entropies, which allow classes of unequal size (Veilleux et al. 2021, section 4)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.information import EPSILON, InformationLearner
from fewshot.learners.transductive.tasks import Tasks

MANY_SHOTS = 5


@register_learner(
    "alpha-tim",
    paper="Veilleux et al. 2021, Realistic Evaluation of Transductive Few-Shot Learning, arXiv:2204.11181",
)
@dataclass(frozen=True)
class AlphaTIM(InformationLearner):
    """TIM whose entropies are (1 - sum of p^alpha) / (alpha - 1), less strict about the size of classes.

    alpha: "auto" takes the paper's values by the mean number of shots of each task, 7 from five on and 2 below.
    cross_entropy, marginal, conditional: weights of the support's log loss and of the two entropies; temperature: of
    the softmax over distances; rate and steps: of Adam. The log loss of the support is the usual one, as in the
    authors' configuration.
    """

    cross_entropy: float = 1.0
    marginal: float = 1.0
    conditional: float = 1.0
    alpha: Literal["auto"] | float = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha != "auto" and (self.alpha <= 0 or self.alpha == 1):
            raise InvalidInput(f"alpha-tim: alpha must be above zero and not 1, which is tim-gd, found {self.alpha!r}")

    def entropy_slope(self, probabilities: Tensor, tasks: Tasks) -> Tensor:
        """The power alpha - 1 times alpha / (alpha - 1)."""
        if self.alpha != "auto":
            return (probabilities + EPSILON).pow_(self.alpha - 1).mul_(self.alpha / (self.alpha - 1))
        shots = tasks.counts.sum(1) / tasks.present.sum(1)
        many = (shots >= MANY_SHOTS)[:, None, None]
        return torch.where(many, 7 / 6 * probabilities**6, 2 * probabilities)
