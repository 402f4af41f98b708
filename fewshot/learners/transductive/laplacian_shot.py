"""LaplacianShot: nearest class mean, with neighbouring queries drawn to one class (Ziko et al. 2020, algorithm 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.iteration import until_settled
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.bd_cspn import rectified_means
from fewshot.learners.transductive.graph import nearest_neighbours
from fewshot.learners.transductive.items import ItemTasks
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

TOLERANCE = 1e-6  # of the objective, between one step and the next


@register_learner("laplacianshot", paper="Ziko et al. 2020, Laplacian Regularized Few-Shot Learning, arXiv:2006.15486")
@dataclass(frozen=True)
class LaplacianShot(TransductiveLearner):
    """Softmax of minus the squared distances to class means, and of what the nearest queries are assigned to.

    lam: weight of the neighbours; the paper tunes it for each backbone and number of shots on validation classes, .7 is
    its choice for one shot. neighbours: of each query, the query itself counted, as the authors count. rectify: move
    the queries and take the class means of BD-CSPN first. classify: the queries as they were moved, or, as some later
    code does, as they were. steps: the most that are taken. easyfsl takes neither centring nor scaling, has other
    class means, and compares these with the queries as they were.
    """

    features: str = "centre-base+l2"
    lam: float = 0.7
    neighbours: int = 3
    rectify: bool = True
    classify: Literal["shifted", "unshifted"] = "shifted"
    steps: int = 20

    preprocesses_itself: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "lam", "neighbours", "steps")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """What the last assignment is the softmax of."""
        items = ItemTasks.of(tasks, self.features, state["base_mean"])
        means = items.support_means
        if self.rectify:
            shift, means = rectified_means(items, scale=10.0)
            if self.classify == "shifted":
                means = means - shift  # the same distances, and cheaper than moving the queries
        scores = -items.query.squared_distances(means).masked_fill(~tasks.present[:, None], torch.inf)
        gram = items.query.gram()
        nearness = 2 * gram - gram.diagonal(dim1=1, dim2=2)[:, None]  # minus the squared distance, less the row's own
        edges = nearest_neighbours(nearness, tasks.mask, self.neighbours - 1)
        return smooth(scores, edges, tasks.real_query, self.lam, self.steps)


def smooth(scores: Tensor, edges: Tensor, real: Tensor, lam: float, steps: int) -> Tensor:
    """The fixed point of `scores + lam edges softmax(·)`, (T, Q, W), by bound updates.

    scores (T, Q, W), minus infinity for absent classes; edges (T, Q, Q); real (T, Q, 1), zero for padding.
    """
    scores, real = scores.mT.contiguous(), real.mT  # classes before items: several times as fast
    pull = (scores.softmax(1) * real) @ edges.mT
    start = [scores, pull, torch.full_like(pull[:, 0, 0], torch.inf)]
    (smoothed, *_), _ = until_settled(partial(_step, lam), [scores, edges, real], start, steps, TOLERANCE)
    return smoothed.mT


def _step(
    lam: float, scores: Tensor, edges: Tensor, real: Tensor, _: Tensor, pull: Tensor, objective: Tensor
) -> tuple[list[Tensor], Tensor]:
    """One bound update of scores (T, W, Q), and how much it changes the bound (eq. 7), relative to it."""
    smoothed = scores + lam * pull
    assignment = smoothed.softmax(1) * real
    following = assignment @ edges.mT
    parts = lam * (assignment * (pull - following)).sum(1, keepdim=True) - smoothed.logsumexp(1, keepdim=True)
    now = (parts * real).sum((1, 2))
    return [smoothed, following, now], (now - objective).abs() / objective.abs()
