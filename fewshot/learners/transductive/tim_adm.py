"""TIM-ADM: the loss of TIM by closed-form steps in turn (Boudiaf et al. 2020, proposition 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate
from fewshot.learners.transductive.information import euclidean_logits
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks


@register_learner(
    "tim-adm",
    paper="Boudiaf et al. 2020, Transductive Information Maximization for Few-Shot Learning, arXiv:2008.11297",
)
@dataclass(frozen=True)
class TIMADM(TransductiveLearner):
    """TIM by turns: auxiliary assignments that are confident and balanced, then prototypes that follow them.

    cross_entropy, marginal, conditional: weights of the support's log loss, of the entropy of the mean prediction and
    of the mean entropy of the predictions; temperature: of the softmax over distances; rate: how far prototypes move to
    their new place (the authors' alpha); steps: the moves.
    """

    features: str = "l2+span"
    cross_entropy: float = 0.1
    marginal: float = 1.0
    conditional: float = 0.1
    temperature: float = 15.0
    rate: float = 1.0
    steps: int = 150

    assumes_balanced_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "cross_entropy", "temperature", "rate", "steps")
        check_not_negative(self, "marginal", "conditional")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Minus half the squared distance to the final prototypes, times the temperature."""
        _, (prototypes,) = alternate(tasks, (tasks.support_means(),), self._predict, self._update, self.steps)
        return euclidean_logits(tasks.query, prototypes, self.temperature)

    def _predict(self, tasks: Tasks, prototypes: Tensor) -> Tensor:
        return tasks.softmax(euclidean_logits(tasks.query, prototypes, self.temperature))

    def _assign(self, predicted: Tensor) -> Tensor:
        """The auxiliary assignment (T, Q, W): predictions sharpened, and divided by how often a class is predicted."""
        sharp = predicted.pow(1 + self.conditional)
        often = sharp.sum(1, keepdim=True).clamp(min=1e-30).pow(self.marginal / (1 + self.marginal))
        balanced = sharp / often
        return balanced / balanced.sum(2, keepdim=True).clamp(min=1e-30)

    def _update(self, tasks: Tasks, predicted: Tensor, prototypes: Tensor) -> tuple[Tensor]:
        logits = euclidean_logits(tasks.support, prototypes, self.temperature)
        predicted_support = class_softmax(logits.masked_fill(~tasks.present[:, None], -1e30)) * tasks.real_support
        assigned = self._assign(predicted)
        of_support = self.cross_entropy / (1 + self.conditional)
        of_query = (tasks.real_support.sum(1) / tasks.query_count)[..., None]
        # minus predictions: the class leaves the items it claims already, and keeps its place by as much
        sums = of_support * ((tasks.members - predicted_support).mT @ tasks.support)
        sums = sums + of_query * ((assigned - predicted).mT @ tasks.query)
        kept = of_support * predicted_support.sum(1)[..., None] + of_query * predicted.sum(1)[..., None]
        mass = of_support * tasks.counts[..., None] + of_query * assigned.sum(1)[..., None]
        target = (sums + kept * prototypes) / mass.clamp(min=1e-12)
        return (prototypes + self.rate * (target - prototypes),)
