"""Nearest neighbour: a query is of the class of the support sample closest to it (Cover and Hart 1967)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.learners.distances import cosine_similarity, squared_distance
from fewshot.learners.learner import Learner
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner(
    "nearest-neighbour",
    paper="Cover and Hart 1967, Nearest neighbor pattern classification, doi:10.1109/TIT.1967.1053964",
)
@dataclass(frozen=True)
class NearestNeighbour(Learner):
    """The class of the closest support sample.

    The logit of a class is minus the squared Euclidean distance to its closest sample, or the largest cosine.
    """

    metric: Literal["euclidean", "cosine"] = "euclidean"

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The support itself: features (T, S, D) and labels (T, S), -1 for padding."""
        return {"support": support.features, "labels": support.labels}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Closeness (T, Q, ways) of queries to the closest item of each class: cosine, or minus squared distance."""
        closeness = cosine_similarity if self.metric == "cosine" else _minus_squared_distance
        return best_of_class(closeness(query, state["support"]), state["labels"], state["present"].shape[1])


def best_of_class(scores: Tensor, labels: Tensor, ways: int) -> Tensor:
    """The largest of scores (T, Q, S) among the samples of each class, (T, Q, ways); -inf for a class without any."""
    scores = scores.masked_fill((labels < 0)[:, None], -torch.inf)
    best = scores.new_full((*scores.shape[:2], ways), -torch.inf)
    return best.scatter_reduce(2, labels.clamp(min=0)[:, None].expand_as(scores), scores, reduce="amax")


def _minus_squared_distance(query: Tensor, support: Tensor) -> Tensor:
    return -squared_distance(query, support)
