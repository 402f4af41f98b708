"""EM-Dirichlet: a Dirichlet density for each class of probability features (Martin et al. 2024)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.distances import cosine_similarity
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import alternate
from fewshot.learners.transductive.dirichlet import fit_dirichlet, log_density
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

_LEAST = 1e-15  # added to probabilities before their logarithm


@register_learner(
    "em-dirichlet", paper="Martin et al. 2024, Transductive Zero-Shot and Few-Shot CLIP, arXiv:2405.18437"
)
@dataclass(frozen=True)
class EMDirichlet(TransductiveLearner):
    """Expectation maximisation with a Dirichlet density per class, for features that are probabilities.

    simplex: "given" takes the features of an item as they come, at least 0 and 1 in sum, such as CLIP's probabilities
    of many class names; "prototypes" makes them of any features: the softmax of `temperature` times the cosines with
    the task's class means, which stand in for the names. Both start from the latter. lam: the weight of the penalty on
    the number of classes, in multiples of the number of queries; the paper multiplies it by how many times more classes
    are possible than occur, which it is told. hard: each query belongs to its likeliest class only, or in equal parts
    to those that tie. steps: of expectation maximisation.
    """

    features: str = ""
    simplex: Literal["given", "prototypes"] = "prototypes"
    temperature: float = 30.0
    lam: float = 1.0
    hard: bool = False
    steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature", "lam", "steps")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Log densities and shares of the classes; the softmax is the last soft assignment."""
        guess = self._class_probabilities(tasks)
        if self.simplex == "given":
            _check_probabilities(tasks)
        logs = _wide(tasks if self.simplex == "given" else guess).mapped(lambda items: (items + _LEAST).log())
        model = self._update(logs, guess.query.to(logs.query.dtype))
        _, (alpha, shares) = alternate(logs, model, self._assign, self._update, self.steps - 1)
        return self._scores(logs, alpha, shares).to(tasks.query.dtype)

    def _class_probabilities(self, tasks: Tasks) -> Tasks:
        means = tasks.support_means()
        absent = ~tasks.present[:, None]

        def probabilities(items: Tensor) -> Tensor:
            return (self.temperature * cosine_similarity(items, means)).masked_fill(absent, -torch.inf).softmax(2)

        return tasks.mapped(probabilities)

    def _real(self, tasks: Tasks) -> Tensor:
        """The parameters (T, W, D) of classes that a task has, for features that it has."""
        classes = tasks.present[:, :, None]
        if self.simplex == "prototypes":
            return classes & tasks.present[:, None]
        return classes.expand(-1, -1, tasks.query.shape[2])

    def _scores(self, tasks: Tasks, alpha: Tensor, shares: Tensor) -> Tensor:
        return log_density(tasks.query, alpha, self._real(tasks)) + self.lam * (shares + _LEAST).log()[:, None]

    def _assign(self, tasks: Tasks, alpha: Tensor, shares: Tensor) -> Tensor:
        soft = tasks.softmax(self._scores(tasks, alpha, shares))
        if not self.hard:
            return soft
        likeliest = (soft == soft.amax(2, keepdim=True)) * tasks.real_query
        return likeliest / likeliest.sum(2, keepdim=True).clamp(min=1)

    def _update(self, tasks: Tasks, assignment: Tensor, *model: Tensor) -> tuple[Tensor, Tensor]:
        alpha = fit_dirichlet(tasks.weighted_means(assignment), self._real(tasks), *model[:1])
        return alpha, assignment.sum(1) / tasks.query_count


def _check_probabilities(tasks: Tasks) -> None:
    items = torch.cat([tasks.support, tasks.query], 1)
    wrong = ((items < 0).any(2) | ((items.sum(2) - 1).abs() > 1e-3)) & (tasks.real[..., 0] > 0)
    if wrong.any():
        least, total = float(items[wrong][0].min()), float(items[wrong][0].sum())
        raise InvalidInput(
            "em-dirichlet: with simplex='given' the features of an item must be probabilities, at least 0 and 1 in "
            f"sum; found one with minimum {least:.3g} and sum {total:.3g}; simplex='prototypes' takes any features"
        )


def _wide(tasks: Tasks) -> Tasks:
    """In float64 where the device has it."""
    parts = {name: in_float64(getattr(tasks, name)) for name in ("support", "members", "query")}
    return replace(tasks, **parts)
