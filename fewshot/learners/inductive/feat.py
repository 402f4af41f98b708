"""FEAT: class means that look at each other before queries are compared with them (Ye et al. 2020, section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.features import l2_normalize
from fewshot.learners.prototypes import class_means
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork, TrainedLearner


class SetToSet(EpisodicNetwork):
    """One head of self-attention with residual and layer norm; at first it does little more than centre a mean."""

    def __init__(self, dim: int, hidden: int, temperature: float, contrast: float) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(dim, hidden, bias=False) for _ in range(3))
        self.output = nn.Linear(hidden, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        nn.init.zeros_(self.output.weight)
        self.temperature, self.contrast = temperature * dim, contrast

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The class means (T, ways, D), adapted to the classes of their task."""
        prototypes = class_means(scaled(support.features), support.labels, support.ways)
        return {"prototypes": self.adapted(prototypes, support.present[:, None])}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Minus the squared distance to each adapted mean, over the temperature."""
        return -squared_distance(scaled(query), state["prototypes"]) / self.temperature

    def adapted(self, items: Tensor, among: Tensor) -> Tensor:
        """Items (T, N, D), each adapted to those it may look at: among (T, N or 1, N) bool."""
        closeness = self.queries(items) @ self.keys(items).mT / self.keys.out_features**0.5
        attention = closeness.masked_fill(~among, float("-inf")).softmax(2)
        return self.norm(items + self.output(attention @ self.values(items)))

    def loss(self, support: Support, query: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the queries, and of the support among its own classes (section 3.4).

        For the latter an item is adapted to the items of its own class, queries too, and compared with the means of
        what comes out.
        """
        items, every = scaled(torch.cat([support.features, query], 1)), torch.cat([support.labels, labels], 1)
        apart = self.adapted(items, every[:, :, None] == every[:, None, :])
        centres = class_means(apart, every, support.ways)
        closeness = -squared_distance(apart[:, : support.features.shape[1]], centres) / self.temperature
        contrast = cross_entropy(closeness.flatten(0, 1), support.labels.flatten())
        return super().loss(support, query, labels) + self.contrast * contrast


@register_learner(
    "feat", paper="Ye et al. 2020, Few-Shot Learning via Embedding Adaptation with Set-to-Set Functions, "
    "arXiv:1812.03664"
)  # fmt: skip
@dataclass(frozen=True)
class FEAT(TrainedLearner):
    """Nearest class mean, the means adapted to each other by trained self-attention.

    hidden: dimensions of the attention (the paper's are those of the features); temperature: of the squared distances
    between features of length 1 (the paper's 64 for 640 dimensions); contrast: weight of the contrastive term in
    training. Features are scaled to one length first, since the backbone is not trained along. easyfsl neither scales
    them nor divides by a temperature, and gives no way to train on cached features.
    """

    hidden: int = 128
    temperature: float = 0.1
    contrast: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "hidden", "temperature")
        if self.contrast < 0:
            raise InvalidInput(f"{self.name}: contrast must be 0 or more, found {self.contrast!r}")

    def network(self, dim: int) -> SetToSet:
        """Self-attention whose output starts at zero."""
        return SetToSet(dim, self.hidden, self.temperature, self.contrast)


def scaled(features: Tensor) -> Tensor:
    """Features (..., D) of length √D: each dimension is about 1, as attention and layer norm expect."""
    return l2_normalize(features) * features.shape[-1] ** 0.5
