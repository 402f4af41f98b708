"""protoLP: prototypes and a graph over them that refine each other (Zhu & Koniusz 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate, log_assignment
from fewshot.learners.transductive.pt_map import PTMAP
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.transductive.transport import balanced_assignment


@register_learner(
    "protolp",
    paper="Zhu & Koniusz 2023, Transductive Few-shot Learning with Prototype-based Label Propagation by Iterative "
    "Graph Refinement, arXiv:2304.11598",
)
@dataclass(frozen=True)
class ProtoLP(PTMAP):
    """PT-MAP whose assignment spreads over a graph between items and classes before the classes move.

    Items are linked where they are assigned to the same classes. gamma: how smooth labels must be on that graph,
    against the labels of the support; share: of the spread labels in what moves a class, the rest is the assignment.
    The rest as in PT-MAP. Both assignments give each class the same share of the queries.
    """

    features: str = "power+l2+svd-40+centre-all+l2"
    steps: int = 100
    tolerance: float = 1e-3
    gamma: float = 1.0
    share: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "gamma")
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"protolp: share must be from 0 to 1, found {self.share!r}")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the last assignment."""
        start = (l2_normalize(tasks.support_means()),)
        assignment, _ = alternate(tasks, start, self._assign, self._update, self.steps)
        return log_assignment(assignment)

    def _update(self, tasks: Tasks, assignment: Tensor, prototypes: Tensor) -> tuple[Tensor]:
        spread = spread_labels(tasks, assignment, self.gamma, self.tolerance)
        return super()._update(tasks, self.share * spread + (1 - self.share) * assignment, prototypes)


def spread_labels(tasks: Tasks, assignment: Tensor, gamma: float, tolerance: float) -> Tensor:
    """Labels (T, Q, W) of the queries by propagation on the graph that links items through their classes.

    With all assignments Z, those of the support Zₛ, and Λ the sizes of the classes, the labels of the classes A solve
    (ZₛᵀZₛ + gamma (I - ZᵀZ Λ⁻¹)) A = ZₛᵀZₛ, and an item's are Z A, again shared out equally among the classes.
    """
    shots = torch.diag_embed(tasks.counts)
    links = (shots + assignment.mT @ assignment) / (tasks.counts + assignment.sum(1)).clamp(min=1e-12)[:, None]
    identity = torch.eye(tasks.ways).to(shots)
    labels = assignment @ torch.linalg.solve(shots + gamma * (identity - links), shots)
    return balanced_assignment(
        log_assignment(labels), tasks.equal_shares * tasks.query_count, tasks.real_query, tolerance
    )
