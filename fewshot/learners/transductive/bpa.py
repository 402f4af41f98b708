"""BPA: a task's features become their affinities with each other, for any learner (Shalam & Korman 2024)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.learner import Learner
from fewshot.learners.registry import create_learner, register_learner
from fewshot.learners.support import Support
from fewshot.learners.transductive.affinities import balanced_affinities
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks


@register_learner(
    "bpa", paper="Shalam & Korman 2024, The Balanced-Pairwise-Affinities Feature Transform, arXiv:2407.01467"
)
@dataclass(frozen=True)
class BPA(TransductiveLearner):
    """Any learner on features that say how near each item of the task is to every other one.

    learner: the name of the learner that sees the affinities, with its own settings; what it does to features before
    its method is done here instead, by `features`, ahead of the transform. entropy: how soft the affinities are. Any
    transductive learner also takes the transform as its last step of `features`, `+bpa`.
    """

    features: str = "power+span+l2+centre-each+l2"
    learner: str = "pt-map"
    entropy: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "entropy")
        if self.inner.needs_base:
            raise InvalidInput(
                f"bpa: learner {self.learner!r} needs base classes, which have no affinities with the items of a task; "
                "take one that does not, such as 'pt-map' or 'prototypical'"
            )

    @cached_property
    def inner(self) -> Learner:
        """The learner behind the transform."""
        inner = create_learner(self.learner)
        return replace(inner, features="") if isinstance(inner, TransductiveLearner) else inner

    @property
    def assumes_balanced_queries(self) -> bool:  # type: ignore[override]
        """Where the inner learner does."""
        return self.inner.assumes_balanced_queries

    @property
    def trained(self) -> bool:  # type: ignore[override]
        """Where the inner learner is."""
        return self.inner.trained

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The inner learner's logits."""
        tasks = tasks.mapped_together(partial(balanced_affinities, real=tasks.real, entropy=self.entropy))
        support = Support(tasks.support, state["labels"], tasks.present, tasks.query[:, :0], tasks.mask[:, :0])
        return self.inner.score({**self.inner.learn(support), "present": tasks.present}, tasks.query, tasks.mask)
