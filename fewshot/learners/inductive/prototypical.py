"""Prototypical networks: a class is the mean of its support (Snell et al. 2017, eq. 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from fewshot.learners.distances import cosine_similarity, squared_distance
from fewshot.learners.learner import Learner
from fewshot.learners.prototypes import class_means
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner(
    "prototypical", paper="Snell et al. 2017, Prototypical Networks for Few-shot Learning, arXiv:1703.05175"
)
@dataclass(frozen=True)
class Prototypical(Learner):
    """Nearest class mean.

    The logit of a class is minus the squared Euclidean distance to its mean (eq. 2), or the cosine with it. easyfsl
    takes the distance without the square: the same predictions, other probabilities.
    """

    metric: Literal["euclidean", "cosine"] = "euclidean"

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The class means (T, ways, D), eq. 1."""
        return {"prototypes": class_means(support.features, support.labels, support.ways)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Closeness of each query to each class mean."""
        if self.metric == "cosine":
            return cosine_similarity(query, state["prototypes"])
        return -squared_distance(query, state["prototypes"])
