"""LP++: a linear probe that blends images and words, by a learned multiplier a class (Huang et al. 2024, eq. 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.chunks import chunks
from fewshot.learners.momentum import Momentum
from fewshot.learners.prototypes import one_hot
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.learner import WordLearner
from fewshot.learners.vision_language.minibatches import loss_slope
from fewshot.learners.words import Words

TINY = 1e-12  # below any curvature of features of length 1


@register_learner(
    "lp++", paper="Huang et al. 2024, LP++: A Surprisingly Strong Linear Probe for Few-Shot CLIP, arXiv:2404.02285"
)
@dataclass(frozen=True)
class LPPlusPlus(WordLearner):
    """A class scores its weight times the feature, plus its multiplier times the cosine to its words; both are learned.

    The step sizes follow from the features, by bounds of the curvature (propositions 1 and 2), so there is none to
    choose. steps: on the whole support; every: at which of them the multipliers take one too; momentum: of the weights;
    blend: what multipliers start at, times the mean cosine of a class to its own items. The weights start at the class
    means. The last step counts, where the authors keep the one that is best on validation images. Their code gives the
    multipliers the gradients of all steps so far, added up, and classes a bias; here it is the paper's formula.
    """

    steps: int = 300
    every: int = 10
    momentum: float = 0.9
    blend: float = 250.0

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"blend": (50.0, 100.0, 250.0, 500.0), "steps": (30, 100, 300)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "steps", "every", "blend")
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"{self.name}: momentum must be in [0, 1), found {self.momentum!r}")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """Weights and multiplied words as one vector a class (T, ways, D), in place of the words; no scale, no bias."""
        parts = []
        for tasks in chunks(features):
            weight, multipliers = lp_plus_plus(
                features[tasks],
                support.labels[tasks],
                support.present[tasks],
                words.vectors[tasks],
                self.steps,
                self.every,
                self.momentum,
                self.blend,
            )
            parts.append(weight + multipliers * words.vectors[tasks])
        text = torch.cat(parts)
        return {"text": text, "scale": text.new_ones(()), "bias": text.new_zeros(())}


def lp_plus_plus(
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    text: Tensor,
    steps: int,
    every: int,
    momentum: float,
    blend: float,
) -> tuple[Tensor, Tensor]:
    """The weights (T, W, D) and multipliers (T, W, 1) of each class.

    features (T, S, D) of length 1, labels (T, S) or -1, present (T, W), text (T, W, D).
    """
    few = features.shape[1] <= features.shape[2]
    gram = features @ features.mT if few else features.mT @ features
    items = (labels >= 0).to(features.dtype).sum(1)[:, None, None]
    weight = _means(labels, text)
    cosines = text @ features.mT
    multipliers = blend * _mean_of_present((weight * cosines).sum(2, keepdim=True), present)
    rate = 4 * items / torch.linalg.eigvalsh(gram)[:, -1:, None].clamp(min=TINY)
    squares = cosines.square().sum(2, keepdim=True).masked_fill(~present[..., None], TINY)
    rate_of_multipliers = items / (4 * squares.amax(1, keepdim=True).clamp(min=TINY))
    # weights that start at means stay sums of items: where items are few, the coefficients of these sums are trained
    weight = weight if few else weight @ features
    descent = Momentum(weight, 1.0, momentum)
    for step in range(1, steps + 1):
        logits = torch.baddbmm(multipliers * cosines, weight, gram if few else features.mT)
        slope = loss_slope(logits, labels, present)
        descent.step(rate * (slope if few else slope @ features))
        if step % every == 0:
            multipliers = multipliers - rate_of_multipliers * (slope * cosines).sum(2, keepdim=True)
    return weight @ features if few else weight, multipliers


def _means(labels: Tensor, text: Tensor) -> Tensor:
    """The class means as coefficients (T, W, S) of the items."""
    members = one_hot(labels, text.shape[1], text).mT
    return members / members.sum(2, keepdim=True).clamp(min=1)


def _mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """The mean of values (T, W, 1) over the classes of each task, for each class."""
    count = present.sum(1)[:, None, None]
    return (values * present[..., None]).sum(1, keepdim=True).expand_as(values) / count
