"""EM-Dirichlet on the probabilities that words give an image: zero-shot and few-shot (Martin et al. 2024)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate
from fewshot.learners.transductive.dirichlet import fit_dirichlet, log_density
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.vision_language.transduction import TransductiveWordLearner, tasks_in_float64

LEAST = 1e-15  # added to probabilities before their logarithm
EMPTY = 1e-12  # a class of less mass keeps its density


@register_learner(
    "em-dirichlet-clip", paper="Martin et al. 2024, Transductive Zero-Shot and Few-Shot CLIP, arXiv:2405.18437"
)
@dataclass(frozen=True)
class EMDirichletCLIP(TransductiveWordLearner):
    """Expectation maximisation with a Dirichlet density per class, of the probabilities of all class names.

    An image is the softmax of `temperature` times its cosines to the words. The paper weighs the penalty on the number
    of classes by the number of queries times possible over occurring classes, and is told how many occur: with
    effective_classes it is told here too; without (the default) all are taken to occur, and nothing is known of the
    queries' labels. hard: each query belongs to its likeliest class only, or in equal parts to those that tie. match:
    name the clusters anew at the end, one class each, where a task has no support; the paper does. steps: of
    expectation maximisation.
    """

    temperature: float = 30.0
    effective_classes: int | None = None
    hard: bool = False
    match: bool = True
    steps: int = 20

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"temperature": (15.0, 30.0, 60.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature", "steps")
        if self.effective_classes is not None and self.effective_classes < 1:
            raise InvalidInput(
                f"{self.name}: effective_classes must be above zero or none, found {self.effective_classes}"
            )

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Log densities and weighted shares of the classes; the softmax is the last soft assignment."""
        tasks = tasks_in_float64(tasks)
        text = state["text"].to(tasks.query)
        absent = ~tasks.present[:, None]
        images = tasks.mapped(
            lambda items: (self.temperature * items @ text.mT).masked_fill(absent, -torch.inf).softmax(2)
        )
        logs = images.mapped(lambda items: (items + LEAST).log())
        model = self._update(logs, images.query, torch.ones_like(text @ text.mT))
        _, (alpha, shares) = alternate(logs, model, self._assign, self._update, self.steps - 1)
        scores = self._scores(logs, alpha, shares)
        return matched(scores, images) if self.match else scores

    def _scores(self, tasks: Tasks, alpha: Tensor, shares: Tensor) -> Tensor:
        possible = tasks.present.sum(1)[:, None, None]
        lam = possible / (self.effective_classes or possible)
        return log_density(tasks.query, alpha, _real(tasks)) + lam * (shares + LEAST).log()[:, None]

    def _assign(self, tasks: Tasks, alpha: Tensor, shares: Tensor) -> Tensor:
        soft = tasks.softmax(self._scores(tasks, alpha, shares))
        return likeliest(soft) * tasks.real_query if self.hard else soft

    def _update(self, tasks: Tasks, assignment: Tensor, alpha: Tensor, *shares: Tensor) -> tuple[Tensor, Tensor]:
        empty = (tasks.counts + assignment.sum(1) < EMPTY)[..., None]
        following = fit_dirichlet(tasks.weighted_means(assignment).masked_fill(empty, -1), _real(tasks), alpha)
        return torch.where(empty, alpha, following), assignment.sum(1) / tasks.query_count


def likeliest(assignment: Tensor) -> Tensor:
    """One at the largest entry of each row (..., W), in equal parts at those that tie."""
    best = (assignment == assignment.amax(-1, keepdim=True)).to(assignment)
    return best / best.sum(-1, keepdim=True)


def matched(scores: Tensor, tasks: Tasks) -> Tensor:
    """Scores (T, Q, W) of clusters in the order of the classes they are, for tasks without a support.

    The queries of a cluster have a mean probability of each class; clusters get one class each, so that the sum of
    these probabilities is largest. tasks holds the probabilities.
    """
    from scipy.optimize import linear_sum_assignment

    clusters = likeliest(tasks.softmax(scores)) * tasks.real_query
    means = clusters.mT @ tasks.query / clusters.sum(1).clamp(min=1)[..., None]
    itself = torch.eye(tasks.ways).to(means)
    means = means.masked_fill(tasks.present[:, :, None] != tasks.present[:, None], -1) + EMPTY * itself
    astray = (means.argmax(2) != itself.argmax(1)).any(1) & (tasks.counts.sum(1) == 0)
    order = itself.argmax(1).repeat(len(scores), 1)
    for task in astray.nonzero()[:, 0].tolist():
        clusters, classes = linear_sum_assignment(means[task].cpu().numpy(), maximize=True)
        order[task, classes] = order.new_tensor(clusters)
    return scores.gather(2, order[:, None].expand_as(scores))


def _real(tasks: Tasks) -> Tensor:
    """The parameters (T, W, W) that count: of classes that a task has, for probabilities of these."""
    return tasks.present[:, :, None] & tasks.present[:, None]
