"""Matching networks: a query takes the labels of the support it attends to (Vinyals et al. 2016, eq. 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fewshot.learners.distances import cosine_similarity
from fewshot.learners.learner import Learner
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner("matching", paper="Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv:1606.04080")
@dataclass(frozen=True)
class Matching(Learner):
    """Softmax attention over the cosines with the support, without full context embeddings.

    With these, trained, it is `matching-fce`. The logit of a class is the log of the attention that its samples get
    together, so a class with more samples gets more of it. easyfsl always puts context embeddings in front, and leaves
    the queries' length in the cosines.
    """

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The support itself: features (T, S, D) and one-hot labels (T, S, ways)."""
        return {"support": support.features, "members": support.members}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Log probabilities (T, Q, ways): the softmax of the cosines to all support items, summed by class."""
        # a cosine is at most 1, so its exponential is safe as it stands
        attention = cosine_similarity(query, state["support"]).exp() @ state["members"]
        return (attention / attention.sum(2, keepdim=True)).log()
