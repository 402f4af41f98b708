"""PADDLE: soft k-means that is paid for leaving classes empty (Martin et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

_TOLERANCE = 1e-6  # of an assignment, between two steps


@register_learner(
    "paddle",
    paper="Martin et al. 2022, Towards Practical Few-shot Query Sets: Transductive Minimum Description Length "
    "Inference, arXiv:2210.14545",
)
@dataclass(frozen=True)
class PADDLE(TransductiveLearner):
    """Soft k-means from the class means, with a penalty on the number of classes that the queries fall into.

    lam: the weight of the penalty, in multiples of the number of queries, at which the paper leaves it. It is weighed
    against squared distances, so it depends on the features: where these have few dimensions it merges classes that
    are there, and a smaller lam is better. The fewer classes the queries come from, the better it serves. steps: the
    most that are taken. The authors scale by the range of the queries alone; here it is that of support and queries.
    """

    features: str = "min-max+span"
    lam: float = 1.0
    steps: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "lam", "steps")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the last assignment."""
        means = tasks.support_means()
        model = (means, means.new_zeros(tasks.present.shape))
        assignment, _ = alternate(tasks, model, self._assign, self._update, self.steps, _TOLERANCE)
        return log_assignment(assignment)

    def _assign(self, tasks: Tasks, means: Tensor, log_shares: Tensor) -> Tensor:
        return tasks.softmax(self.lam * log_shares[:, None] - squared_distance(tasks.query, means) / 2)

    def _update(self, tasks: Tasks, assignment: Tensor, means: Tensor, log_shares: Tensor) -> tuple[Tensor, Tensor]:
        shares = assignment.sum(1) / tasks.query_count
        return tasks.weighted_means(assignment), (shares + 1e-6).log()
