"""Relation networks: a convolutional module says how alike a class and a query are (Sung et al. 2018, eq. 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import MetricLearner
from fewshot.learners.prototypes import class_means, one_hot
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork

SMALLEST = 4  # side of a map that can be halved twice
POOLINGS = 2  # that the backbone keeps


class RelationModule(EpisodicNetwork):
    """Two blocks of convolution, batch norm, ReLU and pooling on class and query maps together, then two layers."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channels = channels
        # one convolution over [class, query], in two parts: each map goes through it once, not once a pair
        self.of_class = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.of_query = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.block1 = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2))
        self.block2 = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.relation = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The mean maps of the classes (T, ways, D)."""
        return {"prototypes": class_means(support.features, support.labels, support.ways)}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways): the log-odds of each relation score."""
        classes, queries = self.of_class(self._maps(state["prototypes"])), self.of_query(self._maps(query))
        classes, queries = classes.unflatten(0, (len(query), -1)), queries.unflatten(0, query.shape[:2])
        pairs = classes[:, None] + queries[:, :, None]
        compared = self.block2(self.block1(pairs.flatten(0, 2))).mean((2, 3))
        return self.relation(compared).view(pairs.shape[:3])

    def _maps(self, features: Tensor) -> Tensor:
        """Features (T, N, D) as square maps (T * N, channels, H, H); raises `InvalidInput` for any others."""
        side = isqrt(features.shape[2] // self.channels)
        if side < SMALLEST or side * side * self.channels != features.shape[2]:
            raise InvalidInput(
                f"relation compares square maps of {self.channels} channels and a side of {SMALLEST} or more, and "
                f"{features.shape[2]} features are none: take a backbone whose features are maps, as fewshot:conv4, "
                "larger images, or the right number of channels"
            )
        return features.reshape(-1, self.channels, side, side)


@register_meta_learner(
    "relation",
    paper="Sung et al. 2018, Learning to Compare: Relation Network for Few-Shot Learning, arXiv:1711.06025",
)
@dataclass(frozen=True)
class RelationNetwork(MetricLearner):
    """A trained comparison of each query with each class, on the backbone's feature maps.

    channels: of the maps; hidden: width of the first of the two last layers. As in the paper the backbone keeps only
    its first two poolings, so that maps are left to compare. Other than there, a class is the mean of its support and
    not the sum, so that any number of shots can be served, and what the blocks leave is averaged over positions, so
    that images may have any size: the same for one shot, and for 28 pixels.
    """

    channels: int = 64
    hidden: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "channels", "hidden")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        """Backbone, without its later poolings, and relation module."""
        poolings = [name for name, part in backbone.named_modules() if isinstance(part, nn.MaxPool2d)]
        for name in poolings[POOLINGS:]:
            backbone.set_submodule(name, nn.Identity())
        return super().model(backbone, dim, ways)

    def head(self, dim: int) -> RelationModule:
        """The relation module; `dim` must be that of square maps of `channels`, which its first use checks."""
        return RelationModule(self.channels, self.hidden)

    def loss(self, head: EpisodicNetwork, support: Support, query: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The squared error of the relation scores, which should be 1 for a query's class and 0 elsewhere (eq. 2)."""
        logits = head.logits(support, query)
        return mse_loss(logits.sigmoid(), one_hot(labels, support.ways, logits)), logits
