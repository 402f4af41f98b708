"""Matching networks: a query takes the labels of the support it attends to (Vinyals et al. 2016, eq. 1 and 2)."""

from dataclasses import dataclass

from fewshot.learners.checks import check_positive
from fewshot.learners.inductive import Matching
from fewshot.learners.inductive.matching_fce import FullContext
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import LearnerHead, MetricLearner
from fewshot.learners.trained import EpisodicNetwork


@register_meta_learner(
    "matching", paper="Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv:1606.04080"
)
@dataclass(frozen=True)
class MatchingNetwork(MetricLearner):
    """Softmax attention over the cosines with the support, as they are: the paper has no temperature.

    full_context: let every embedding depend on the whole support (appendix A). hidden, steps, temperature: of the full
    context embeddings, as in the learner `matching-fce`; they start as no change at all, and its cosines are divided
    by the temperature.
    """

    full_context: bool = False
    hidden: int = 64
    steps: int = 4
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "hidden", "steps", "temperature")

    def head(self, dim: int) -> EpisodicNetwork:
        """Attention, with or without full context embeddings."""
        if self.full_context:
            return FullContext(dim, self.hidden, self.steps, self.temperature)
        return LearnerHead(Matching())
