"""PT-MAP: Gaussian-like features, and optimal transport to classes of equal size (Hu et al. 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.transductive.transport import balanced_assignment


@register_learner(
    "pt-map", paper="Hu et al. 2021, Leveraging the Feature Distribution in Transfer-based FSL, arXiv:2006.03806"
)
@dataclass(frozen=True)
class PTMAP(TransductiveLearner):
    """Power transform, then classes that move to the queries which optimal transport assigns to them.

    Each class gets the same share of the queries, so unequal classes cost accuracy. lam: how sharp the assignment is,
    times the squared distance (eq. 5); rate: how far a class moves to its new mean (eq. 7); steps: the moves;
    tolerance: of the transport, on the sum of a class. easyfsl leaves out the scaling and centring, takes
    ten steps, and fails on features of other scales.
    """

    features: str = "power+span+l2+centre-each+l2"
    lam: float = 10.0
    rate: float = 0.2
    steps: int = 20
    tolerance: float = 1e-6

    assumes_balanced_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "lam", "rate", "steps", "tolerance")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the last assignment."""
        assignment, _ = alternate(tasks, (tasks.support_means(),), self._assign, self._update, self.steps)
        return log_assignment(assignment)

    def _assign(self, tasks: Tasks, prototypes: Tensor) -> Tensor:
        # minus the squared distance, but for the length of the query, which counts alike for all classes
        scores = self.lam * (2 * tasks.query @ prototypes.mT - prototypes.square().sum(2)[:, None])
        return balanced_assignment(scores, tasks.equal_shares * tasks.query_count, tasks.real_query, self.tolerance)

    def _update(self, tasks: Tasks, assignment: Tensor, prototypes: Tensor) -> tuple[Tensor]:
        return (prototypes + self.rate * (tasks.weighted_means(assignment) - prototypes),)
