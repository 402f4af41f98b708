"""ProLIP: the image tower's last projection, trained on the support near its start (Fahes et al. 2024, eq. 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from fewshot.learners.checks import check_not_negative
from fewshot.learners.features import l2_normalize
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.cosines import slope_by_features
from fewshot.learners.vision_language.learner import word_logits
from fewshot.learners.vision_language.minibatches import MinibatchTraining
from fewshot.learners.words import Words


@register_learner(
    "prolip", paper="Fahes et al. 2024, CLIP's Visual Embedding Projector is a Few-shot Cornucopia, arXiv:2410.05270"
)
@dataclass(frozen=True)
class ProLIP(MinibatchTraining):
    """Features before the last projection of the image tower, and this projection trained, but held near its start.

    penalty: on the squared distance from the start, divided by the items a class has on average: with 1 it is the
    lambda = 1 / N that the authors advise without validation images. rate, epsilon: of Adam; the rate falls to zero
    along a cosine. decay: of AdamW. epochs: steps, each on the whole support; batch: items a step where there are more.
    The authors see another crop of each image at each step, here it is the features as they are.
    """

    penalty: float = 1.0
    rate: float = 1e-5
    decay: float = 0.0
    epochs: int = 300
    batch: int = 16384

    needs_projection: ClassVar[bool] = True
    transfers: ClassVar[bool] = True
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "rate": (1e-5, 1e-4, 1e-3, 1e-2),
        "penalty": (0.1, 1.0, 10.0),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative(self, "penalty")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The trained projection (T, E, D) of each task."""
        assert words.projection is not None
        start = words.projection.expand(len(features), -1, -1)
        shots = support.real.sum(1) / support.present.sum(1, keepdim=True)
        hold = 2 * self.penalty / shots[..., None]
        fixed = [support.present, words.vectors, hold, start]
        projection = self.train(partial(_gradient, words.scale), features, support.labels, fixed, [start])
        return {"projection": projection[0]}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Zero-shot logits of the projected features."""
        return word_logits(state, l2_normalize(l2_normalize(query) @ state["projection"]))


def _gradient(
    scale: float,
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    text: Tensor,
    hold: Tensor,
    start: Tensor,
    projection: Tensor,
) -> list[Tensor]:
    slope = slope_by_features(scale, features @ projection, labels, present, text)
    return [features.mT @ slope + hold * (projection - start)]
