"""The index as a learner: the support is indexed, and a query is of the class that its neighbours vote for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fewshot.learners import Learner, register_learner
from fewshot.learners.checks import check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.features import l2_normalize
from fewshot.learners.inductive.nearest_neighbour import best_of_class
from fewshot.learners.support import Support

BEYOND = 64  # neighbours looked at beyond those that vote, so that further classes have an order


@register_learner(
    "index",
    paper="Wu et al. 2018, Unsupervised Feature Learning via Non-Parametric Instance Discrimination, arXiv:1805.01978",
)
@dataclass(frozen=True)
class IndexLearner(Learner):
    """The support is an index; its nearest items vote, or the nearest class mean wins.

    rule: "knn", the vote of the `k` nearest items, each with the weight exp(closeness / temperature), or 1 where
    weights is "uniform"; "mean", the nearest class mean. Closeness is the cosine, the inner product, or minus the
    squared distance (metric). kind: "Flat" searches exactly, for all tasks at once; any other FAISS factory builds that
    index for each task, for ways of thousands.

    The logit of a class is the logarithm of its votes, and at least its nearest item's closeness / temperature. With
    uniform weights it is the number of its votes, plus a part of one by its place among the nearest. What an index that
    is not exact has not found counts as further away than all it found.
    """

    rule: Literal["knn", "mean"] = "knn"
    k: int = 1
    kind: str = "Flat"
    metric: Literal["cosine", "inner-product", "l2"] = "cosine"
    weights: Literal["softmax", "uniform"] = "softmax"
    temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "k", "temperature")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """What is indexed (T, M, D): the support, or its class means; and the class of each (T, M), -1 for padding."""
        items, labels = support.features, support.labels
        if self.metric == "cosine":
            items = l2_normalize(items)
        if self.rule == "mean":
            items, labels = _class_means(items, labels, support.present)
            if self.metric == "cosine":
                items = l2_normalize(items)
        return {"items": items, "classes": labels}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The votes of each query's neighbours, class by class."""
        items, classes, ways = state["items"], state["classes"], state["present"].shape[1]
        query = l2_normalize(query) if self.metric == "cosine" else query
        closeness = self._exact(query, items) if self.kind == "Flat" else self._found(query, items, classes)
        return self._logits(closeness.masked_fill((classes < 0)[:, None], -torch.inf), classes, ways)

    def _exact(self, query: Tensor, items: Tensor) -> Tensor:
        return -squared_distance(query, items) if self.metric == "l2" else query @ items.mT

    def _found(self, query: Tensor, items: Tensor, classes: Tensor) -> Tensor:
        """Closeness (T, Q, M) as far as FAISS finds it; the rest lies a temperature beyond the furthest found."""
        metric = "l2" if self.metric == "l2" else "inner-product"  # cosines are products: lengths are 1, or 0
        found = [_search(*task, metric, self.kind, self.k + BEYOND) for task in zip(query, items, classes, strict=True)]
        return torch.stack([_spread(*each, items.shape[1], self.temperature) for each in found]).to(query)

    def _logits(self, closeness: Tensor, classes: Tensor, ways: int) -> Tensor:
        nearest = best_of_class(closeness, classes, ways)
        if self.rule == "mean" or (self.k == 1 and self.weights == "softmax"):
            return nearest / self.temperature
        near, place = closeness.topk(min(self.k, closeness.shape[2]), dim=2)
        voters = classes[:, None].expand_as(closeness).gather(2, place)
        real = (voters >= 0) & near.isfinite()
        if self.weights == "uniform":
            votes = nearest.new_zeros(nearest.shape).scatter_add_(2, voters.clamp(min=0), real.to(near.dtype))
            return votes + _by_place(nearest)
        weights = ((near - near[..., :1]) / self.temperature).exp() * real
        votes = nearest.new_zeros(nearest.shape).scatter_add_(2, voters.clamp(min=0), weights)
        return torch.maximum(votes.log() + near[..., :1] / self.temperature, nearest / self.temperature)


def _class_means(items: Tensor, labels: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Means (T, W, D) and their classes (T, W), -1 for a class that a task lacks."""
    tasks, ways = present.shape
    where = torch.where(labels < 0, ways, labels)
    sums = items.new_zeros(tasks, ways + 1, items.shape[2])
    sums.scatter_add_(1, where[..., None].expand_as(items), items)
    counts = items.new_zeros(tasks, ways + 1).scatter_add_(1, where, torch.ones_like(items[..., 0]))
    means = (sums / counts.clamp(min=1)[..., None])[:, :ways]
    return means, torch.where(present, torch.arange(ways, device=labels.device), -1)


def _by_place(nearest: Tensor) -> Tensor:
    """For each class a part of one, larger for the nearer: of equal votes the nearer class wins."""
    return nearest.argsort(2).argsort(2).to(nearest.dtype) / (nearest.shape[2] + 1)


def _search(query: Tensor, items: Tensor, classes: Tensor, metric: str, kind: str, k: int) -> tuple[Tensor, Tensor]:
    """Closeness (Q, k) float64 and places (Q, k) of what an index of `kind` finds in one task."""
    from fewshot.retrieval.engine import Searcher, build_segment

    real = (classes >= 0).nonzero().flatten().cpu().numpy()
    vectors = np.ascontiguousarray(items.detach().cpu().float().numpy()[real])
    with TemporaryDirectory(prefix="fewshot-") as folder:
        path = Path(folder) / "support.faiss"
        build_segment(kind, lambda: iter([(real, vectors)]), len(real), vectors.shape[1], metric, path)
        searcher = Searcher([path], vectors.shape[1], metric, np.empty(0, np.int64), real)
        scores, places = searcher.search(query.detach().cpu().float().numpy(), min(k, len(real)))
    closeness = torch.from_numpy((-scores if metric == "l2" else scores).astype(np.float64))
    return closeness, torch.from_numpy(places)


def _spread(closeness: Tensor, places: Tensor, items: int, temperature: float) -> Tensor:
    """Closeness (Q, M) of all items: that which was found at its place, elsewhere less than all of it."""
    beyond = closeness[:, -1:] - temperature
    return beyond.expand(-1, items).clone().scatter_(1, places, closeness)
