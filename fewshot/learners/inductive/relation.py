"""Relation networks: a trained module says how alike a class and a query are (Sung et al. 2018, eq. 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fewshot.learners.checks import check_positive
from fewshot.learners.distances import cosine_similarity
from fewshot.learners.features import l2_normalize
from fewshot.learners.prototypes import class_means, one_hot
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork, TrainedLearner


class RelationModule(EpisodicNetwork):
    """An MLP on the concatenation of class and query, added to their cosine; it starts as the cosine alone."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        # one layer over [class, query], in two parts: each vector goes through it once, not once a pair
        self.of_class, self.of_query = nn.Linear(dim, hidden), nn.Linear(dim, hidden, bias=False)
        self.relation = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.relation.weight)
        self.slope, self.offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-7.0))

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The class means (T, ways, D) of features of length 1."""
        return {"prototypes": class_means(l2_normalize(support.features), support.labels, support.ways)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The log-odds of each relation score: their softmax is the probability given that one class is right."""
        prototypes, root = state["prototypes"], query.shape[2] ** 0.5
        query = l2_normalize(query)
        pairs = self.of_class(root * prototypes)[:, None] + self.of_query(root * query)[:, :, None]
        relation = self.relation(pairs.relu()).squeeze(3)
        return self.slope * (cosine_similarity(query, prototypes) + relation) + self.offset

    def loss(self, support: Support, query: Tensor, labels: Tensor) -> Tensor:
        """The squared error of the relation scores, which should be 1 for a query's class and 0 elsewhere (eq. 2)."""
        scores = self.logits(support, query).sigmoid()
        return mse_loss(scores, one_hot(labels, support.ways, scores))


@register_learner(
    "relation",
    paper="Sung et al. 2018, Learning to Compare: Relation Network for Few-Shot Learning, arXiv:1711.06025",
)
@dataclass(frozen=True)
class Relation(TrainedLearner):
    """A trained comparison of each query with each class.

    hidden: width of the module. The paper's module is convolutional, on feature maps; cached features are vectors, so
    here it is an MLP, and it corrects a cosine, which it could hardly find from few base classes. A class is the mean
    of its support and not the sum (the same for one shot), so that any number of shots can be served. easyfsl has the
    convolutional module, for feature maps only.
    """

    hidden: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "hidden")

    def network(self, dim: int) -> RelationModule:
        """The cosine, with a correction that starts at zero."""
        return RelationModule(dim, self.hidden)
