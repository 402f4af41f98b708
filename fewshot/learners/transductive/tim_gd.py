"""TIM-GD: predictions that are confident and balanced, by gradient descent (Boudiaf et al. 2020, section 2.3)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.information import EPSILON, InformationLearner
from fewshot.learners.transductive.tasks import Tasks


@register_learner(
    "tim-gd",
    paper="Boudiaf et al. 2020, Transductive Information Maximization for Few-Shot Learning, arXiv:2008.11297",
)
@dataclass(frozen=True)
class TIMGD(InformationLearner):
    """Prototypes moved by gradients until predictions of queries are confident and classes equally frequent.

    cross_entropy, marginal, conditional: weights of the support's log loss, of the entropy of the mean prediction and
    of the mean entropy of the predictions; temperature: of the softmax over distances; rate and steps: of Adam. The
    weights are the paper's; its marginal entropy expects classes of equal size. easyfsl has cosines instead of
    distances, temperature 10, weights 1, 1 and 0.1, and 50 steps.
    """

    assumes_balanced_queries: ClassVar[bool] = True

    def entropy_slope(self, probabilities: Tensor, tasks: Tasks) -> Tensor:
        """The logarithm, from Shannon's entropy."""
        return (probabilities + EPSILON).log_()
