"""ANIL: almost no inner loop, only the head adapts (Raghu et al. 2020, section 4)."""

from dataclasses import dataclass

from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.meta_learner import register_meta_learner


@register_meta_learner(
    "anil",
    paper="Raghu et al. 2020, Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of MAML, "
    "arXiv:1909.09157",
)
@dataclass(frozen=True)
class ANIL(GradientLearner):
    """MAML whose backbone stays as it is within a task; its features are computed once."""

    def adapts(self, name: str) -> bool:
        """Whether it is of the head: only that adapts to a task."""
        return name.startswith("head.")
