"""How neighbours become a class: a weighted vote of the nearest items, or the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition.neighbours import (
    Found,
    nearest_items,
    nearest_items_of_others,
    nearest_means,
)
from fewshot.retrieval.recognition.support import Support

Name = Literal["knn", "mean"]
Weights = Literal["softmax", "uniform"]
Evidence = Literal["margin", "score"]


@dataclass(frozen=True)
class Rule:
    """A rule of recognition.

    "knn": the `k` nearest items vote, each with the weight exp(closeness / temperature) ("softmax", as Wu et al. 2018,
    arXiv:1805.01978, whose temperature is the default) or 1 ("uniform"); of equal votes the nearer class wins. "mean":
    the class with the nearest mean, and `k` says nothing. Closeness is the cosine, the inner product, or minus the
    squared distance, by the metric of the index. The score of a class is the closeness of its nearest voter, or of its
    mean.

    What a threshold for rejection looks at is `evidence`: the "margin", how much closer the class is than the
    runner-up, or the "score" of the class alone. At the same rate of false accepts the margin rightly accepted 1.25 to
    3.6 times as many pictures on the data of `docs/index.md`; where pictures of a class are almost the same, the score
    is the better one. The margin needs two classes. Raises `InvalidInput` for what is none of these.
    """

    name: Name = "knn"
    k: int = 1
    weights: Weights = "softmax"
    temperature: float = 0.07
    evidence: Evidence = "margin"

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise InvalidInput(
                f"the rule is knn (nearest items vote) or mean (nearest class mean), found {self.name!r}"
            )
        if self.weights not in get_args(Weights):
            raise InvalidInput(f"the weights of votes are softmax or uniform, found {self.weights!r}")
        if self.evidence not in get_args(Evidence):
            raise InvalidInput(f"the evidence for acceptance is margin or score, found {self.evidence!r}")
        if self.k < 1 or not self.temperature > 0:
            raise InvalidInput(
                f"k must be 1 or more and the temperature above zero, found {self.k} and {self.temperature}"
            )

    def __str__(self) -> str:
        if self.name == "mean":
            return "nearest class mean"
        if self.k == 1:
            return "nearest item"
        weighed = "equal weights" if self.weights == "uniform" else f"weights exp(closeness / {self.temperature:g})"
        return f"vote of the {self.k} nearest items, {weighed}"


class Answers(NamedTuple):
    """For each query, all (Q,): the class and its closeness, the share of the votes for it, the runner-up and its
    closeness (-1 and -inf where there is no second class), and the id of the nearest voter (-1 for class means).
    """

    classes: np.ndarray
    closeness: np.ndarray
    share: np.ndarray
    runner_up: np.ndarray
    runner_up_closeness: np.ndarray
    nearest: np.ndarray

    def evidence(self, rule: Rule) -> np.ndarray:
        """What speaks for the class (Q,), larger is more; infinite where there is no runner-up to be ahead of."""
        return self.closeness if rule.evidence == "score" else self.closeness - self.runner_up_closeness


def answer(support: Support, vectors: np.ndarray, rule: Rule, own: np.ndarray | None = None) -> Answers:
    """Recognise vectors (Q, D), each as if the class that `own` (Q,) names for it weren't there.

    Raises `InvalidInput` where there are fewer than `k` labelled items.
    """
    if rule.name == "mean":
        found = nearest_means(support, vectors, 2, own)
        classes, closeness = found.classes, found.closeness
        ones, none = np.ones(len(vectors)), np.full(len(vectors), -1)
        return Answers(classes[:, 0], closeness[:, 0], ones, classes[:, 1], closeness[:, 1], none)
    if rule.k > len(support):
        raise InvalidInput(f"k must be at most {len(support)}, the labelled items of the index, found {rule.k}")
    if own is None:
        left_out, found = np.empty((len(vectors), 0), np.int64), nearest_items(support, vectors, rule.k)
    else:
        left_out, found = own[:, None], nearest_items_of_others(support, vectors, own[:, None], rule.k)
    votes = vote(found, rule)
    rows = np.arange(len(vectors))
    first = votes.argmax(1)  # of equal votes the first, and neighbours come nearest first
    won = found.classes[rows, first]
    others = np.where(found.classes == won[:, None], -1.0, votes)
    second = others.argmax(1)
    runner_up, closeness = found.classes[rows, second], found.closeness[rows, second]
    alone = np.flatnonzero((others[rows, second] < 0) | (runner_up < 0))
    if len(alone):
        passed = np.concatenate([left_out, won[:, None]], axis=1)[alone]
        beyond = nearest_items_of_others(support, vectors[alone], passed, 1)
        runner_up[alone], closeness[alone] = beyond.classes[:, 0], beyond.closeness[:, 0]
    return Answers(won, found.closeness[rows, first], votes[rows, first], runner_up, closeness, found.ids[rows, first])


def vote(found: Found, rule: Rule) -> np.ndarray:
    """The share (Q, k) of the votes that the class of each neighbour gets; places without a neighbour get none."""
    real = found.classes >= 0
    weights = real.astype(np.float64)
    if rule.weights == "softmax":
        nearest = np.where(np.isfinite(found.closeness[:, :1]), found.closeness[:, :1], 0)
        weights = np.exp((found.closeness - nearest) / rule.temperature)
    same = (found.classes[:, :, None] == found.classes[:, None]) & real[:, :, None]
    votes = (same * weights[:, None]).sum(2)
    return np.asarray(votes / np.maximum(weights.sum(1, keepdims=True), 1e-300))
