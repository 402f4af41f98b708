"""Tip-Adapter: the support as a cache beside the words, as it is or trained (Zhang et al. 2022, eq. 4 to 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.by_class import class_sums, of_class
from fewshot.learners.vision_language.cache import affinities, cache_logits
from fewshot.learners.vision_language.learner import WordLearner
from fewshot.learners.vision_language.minibatches import MinibatchTraining, loss_slope
from fewshot.learners.words import Words

PAPER = "Zhang et al. 2022, Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, arXiv:2207.09519"


@register_learner("tip-adapter", paper=PAPER)
@dataclass(frozen=True)
class TipAdapter(WordLearner):
    """Zero-shot logits plus the affinity of a query to the items of each class, summed; nothing is trained.

    alpha: weight of the affinities; beta: how fast they fall with the distance. Both are one setting for all
    data; for ImageNet the authors start at 1.17 and 1, and search alpha up to 3 and beta up to 7 on validation images.
    """

    alpha: float = 1.0
    beta: float = 5.5

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "alpha": (0.1, 0.5, 1.0, 1.5, 2.0, 3.0),
        "beta": (0.5, 1.0, 2.0, 3.0, 4.0, 5.5, 7.0),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha", "beta")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """Keys (T, S, D), their labels (T, S) and weights (T, S, 1), all of them 1."""
        return {"keys": features, "labels": support.labels, "weights": support.real}

    def image_logits(self, state: Mapping[str, Tensor], query: Tensor) -> Tensor:
        """The affinities to each class, times alpha."""
        return self.alpha * cache_logits(state, query, self.beta)


@register_learner("tip-adapter-f", paper=PAPER)
@dataclass(frozen=True)
class TipAdapterF(MinibatchTraining, TipAdapter):
    """Tip-Adapter whose keys are trained, from the items of the support on.

    alpha and beta as in `tip-adapter`. rate, epsilon, decay: of AdamW; the rate falls to zero along a cosine. epochs,
    batch: how often it sees each item, and items a step. The keys of the last epoch count, where the authors keep the
    epoch that is best on test images; and it sees the features as they are, where they see another crop each time.
    """

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (0.5, 1.0, 3.0), "beta": (1.0, 3.0, 5.5)}

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The same, with trained keys."""
        state = super().learn_images(features, support, words)
        fixed = [support.present, words.scale * words.vectors, support.labels, state["weights"]]
        gradients = partial(_gradient_of_keys, self.alpha, self.beta)
        state["keys"] = self.train(gradients, features, support.labels, fixed, [features])[0]
        return state


def _gradient_of_keys(
    alpha: float,
    beta: float,
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    text: Tensor,
    key_labels: Tensor,
    weights: Tensor,
    keys: Tensor,
) -> list[Tensor]:
    near = affinities(keys, features, weights, beta)
    logits = text @ features.mT + alpha * class_sums(near, key_labels, text.shape[1])
    slope = loss_slope(logits, labels, present)
    near.mul_(of_class(slope, key_labels)).mul_(alpha * beta)
    return [near @ features]
