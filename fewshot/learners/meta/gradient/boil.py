"""BOIL: body only update in the inner loop, the head stays (Oh et al. 2021, section 3)."""

from dataclasses import dataclass

from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.meta_learner import register_meta_learner


@register_meta_learner(
    "boil", paper="Oh et al. 2021, BOIL: Towards Representation Change for Few-shot Learning, arXiv:2008.08882"
)
@dataclass(frozen=True)
class BOIL(GradientLearner):
    """MAML whose head stays as it is within a task. The rate is the paper's for Conv-4, with one step throughout."""

    inner_rate: float = 0.5
    evaluation_steps: int = 1

    def adapts(self, name: str) -> bool:
        """Whether it is of the backbone: only that adapts to a task."""
        return name.startswith("backbone.")
