"""TransCLIP: a Gaussian per class around the queries, held to the words and to neighbours (Zanella et al. 2024)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.precision import in_float64
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.vision_language.learner import word_logits
from fewshot.learners.vision_language.neighbours import DENSE, cosine_edges
from fewshot.learners.vision_language.transduction import TransductiveWordLearner, tasks_in_float64

TEMPERATURE = 50.0  # the authors' code divides log densities by it, and multiplies gamma by it
CONFIDENT = 8  # queries a class starts from where it has no support
LEAST_VARIANCE = 1e-10


@register_learner(
    "transclip", paper="Zanella et al. 2024, Boosting Vision-Language Models with Transduction, arXiv:2406.01837"
)
@dataclass(frozen=True)
class TransCLIP(TransductiveWordLearner):
    """Classes are Gaussians of one shared diagonal variance; queries follow them, their neighbours and the words.

    lam: how much the words count, without a support and (`lam_few_shot`) with one. gamma: how much the support counts;
    the authors choose it on validation images. neighbours: of each item among the queries. steps: updates of the
    classes; inner_steps: of the assignment, after each. As in the authors' code, class means get length 1. Their
    few-shot code pairs the neighbours of a labelled item with another item, and leaves out the nearest; here it is as
    in the paper.
    """

    lam: float = 1.0
    lam_few_shot: float = 0.5
    gamma: float = 0.02
    neighbours: int = 3
    steps: int = 10
    inner_steps: int = 5

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"gamma": (0.002, 0.01, 0.02, 0.2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "neighbours", "steps", "inner_steps")
        check_not_negative(self, "lam", "lam_few_shot", "gamma")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Logits whose softmax is the last assignment."""
        logits = in_float64(word_logits(state, tasks.query))
        tasks, gamma, absent = tasks_in_float64(tasks), TEMPERATURE * self.gamma, ~tasks.present[:, None]
        edges, votes = self._neighbours(tasks)
        few_shot = tasks.counts.sum(1)[:, None, None] > 0
        given = torch.where(few_shot, self.lam_few_shot, self.lam) * logits + votes
        assignment, squares = tasks.softmax(logits), mean_squares(tasks, gamma)
        means, known = first_means(tasks, assignment), weighed_support(tasks, gamma)
        variance = torch.full_like(squares, 1 / means.shape[2])
        for step in range(self.steps + 1):
            if step:
                means, variance = update_classes(tasks, assignment, squares, known)
            fixed = log_density(tasks.query, means, variance).div_(TEMPERATURE).add_(given)
            fixed.masked_fill_(absent, -torch.inf)
            for _ in range(self.inner_steps):
                scores = torch.bmm(edges, assignment).add_(fixed)
                assignment = class_softmax(scores).mul_(tasks.real_query)
        return scores

    def _neighbours(self, tasks: Tasks) -> tuple[Tensor, Tensor]:
        """Edges (T, Q, Q) between queries, and the votes (T, Q, W) of the support; both halved and shared by k."""
        weight = 1 / (2 * self.neighbours)
        support = tasks.real_support[..., 0] > 0
        sparse = tasks.mask.shape[1] > DENSE
        edges = cosine_edges(tasks.query, tasks.query, (tasks.mask, tasks.mask), self.neighbours, sparse, loops=False)
        votes = cosine_edges(tasks.support, tasks.query, (support, tasks.mask), self.neighbours, sparse)
        return (edges + edges.mT) * weight, torch.bmm(votes.mT, tasks.members) * weight


def first_means(tasks: Tasks, assignment: Tensor) -> Tensor:
    """Where each class starts (T, W, D): its support, or else the queries that are most surely of it; of length 1."""
    least = assignment.mT.topk(min(CONFIDENT, assignment.shape[1]), 2).values[..., -1]
    confident = assignment * (assignment >= least[:, None])
    confident = confident / confident.sum(1, keepdim=True).clamp(min=1e-30)
    return l2_normalize(torch.where(tasks.counts[..., None] > 0, tasks.support_means(), confident.mT @ tasks.query))


def weighed_support(tasks: Tasks, gamma: float) -> tuple[Tensor, Tensor]:
    """What the support adds to the weight (T, W) and to the sum (T, W, D) of each class: gamma in all."""
    members = gamma / labelled(tasks) * tasks.members
    return members.sum(1), members.mT @ tasks.support


def update_classes(
    tasks: Tasks, assignment: Tensor, squares: Tensor, known: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Means (T, W, D) of length 1, and the variance (T, 1, D) around them that all classes share.

    The queries together weigh 1; known: what `weighed_support` says; squares (T, 1, D): what `mean_squares` does.
    """
    of_query = assignment / tasks.query_count[..., None]
    mass = (of_query.sum(1) + known[0])[..., None]
    sums = torch.baddbmm(known[1], of_query.mT, tasks.query)
    means = l2_normalize(sums / mass.clamp(min=1e-30))
    spread = squares + (means * (mass * means - 2 * sums)).sum(1, keepdim=True)
    return means, (spread / mass.sum(1, keepdim=True)).clamp(min=LEAST_VARIANCE)


def mean_squares(tasks: Tasks, gamma: float) -> Tensor:
    """The mean (T, 1, D) of the squares of the queries, plus gamma times that of the support."""
    query, support = (items.square().sum(1, keepdim=True) for items in (tasks.query, tasks.support))
    return query / tasks.query_count[..., None] + gamma * support / labelled(tasks)


def labelled(tasks: Tasks) -> Tensor:
    """The items of the support (T, 1, 1); 1 where there is none."""
    return tasks.real_support.sum(1, keepdim=True).clamp(min=1)


def log_density(items: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """Of items (T, Q, D) under each class (T, Q, W), less what is equal for all classes."""
    scaled = means / variance
    return torch.baddbmm(-(scaled * means).sum(2)[:, None] / 2, items, scaled.mT)
