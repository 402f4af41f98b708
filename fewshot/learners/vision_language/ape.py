"""APE: a cache on the channels that tell classes apart, as it is or refined by training (Zhu et al. 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive, check_shares
from fewshot.learners.features import l2_normalize
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.by_class import class_sums, of_class
from fewshot.learners.vision_language.cache import affinities, cache_logits
from fewshot.learners.vision_language.learner import WordLearner
from fewshot.learners.vision_language.minibatches import MinibatchTraining, loss_slope
from fewshot.learners.words import Words

PAPER = (
    "Zhu et al. 2023, Not All Features Matter: Enhancing Few-shot CLIP with Adaptive Prior Refinement, arXiv:2304.01195"
)


@register_learner("ape", paper=PAPER)
@dataclass(frozen=True)
class APE(WordLearner):
    """Tip-Adapter's cache on chosen channels of the features, its items weighted by what the words get wrong.

    channels: share of the channels that are kept, those of small products between classes and large variance among the
    text vectors; distinct: weight of the variance, 1 - distinct that of the products. alpha: weight of the affinities;
    beta: how fast they fall with the distance; gamma: how much more an item counts the less the words expect its
    class. The authors set each per data set: here are channels (800 of 1,024) and distinct of several of them, and
    their alpha, beta and gamma for ImageNet. They search alpha and beta up to 7, gamma up to 1.
    """

    alpha: float = 2.0
    beta: float = 1.0
    gamma: float = 0.1
    channels: float = 0.8
    distinct: float = 0.3

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "alpha": (0.5, 1.0, 2.0, 4.0),
        "beta": (0.5, 1.0, 3.0, 5.5),
        "gamma": (0.0, 0.1, 0.3),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha", "beta", "channels")
        check_not_negative(self, "gamma")
        check_shares(self, "channels", "distinct")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The kept channels (T, 1, D) as ones and zeros, keys (T, S, D) on them, labels and weights (T, S, 1)."""
        text, present, labels = words.vectors, support.present, support.labels
        products = products_between_classes(text, present, features, labels)
        kept = best_channels(products, text_variance(text, present), self.channels, self.distinct).to(text.dtype)
        keys = l2_normalize(features * kept)
        expected = (keys @ l2_normalize(text * kept).mT).masked_fill(~present[:, None], -torch.inf)
        surprise = -expected.log_softmax(2).gather(2, labels.clamp(min=0)[..., None]) / log(2)
        weights = (self.gamma * surprise).exp() * support.real
        return {"kept": kept, "keys": keys, "labels": labels, "weights": weights}

    def image_logits(self, state: Mapping[str, Tensor], query: Tensor) -> Tensor:
        """The weighted affinities to each class on the kept channels, times alpha."""
        return self.alpha * cache_logits(state, l2_normalize(query * state["kept"]), self.beta)


@register_learner("ape-t", paper=PAPER)
@dataclass(frozen=True)
class APET(MinibatchTraining):
    """A residual of each class on chosen channels, added to its keys and its words, and item weights, all trained.

    channels: share of the channels that have a residual, those of small products between the text vectors of classes
    and of large variance among these; distinct: weight of the variance, 1 - distinct that of the products. alpha:
    weight of the affinities; beta: how fast they fall with the distance; rate, epsilon, decay, epochs, batch: of AdamW.
    The authors set these per data set, and each default is one of theirs. The weights of the last step count, where
    the authors keep the epoch that is best on validation images; and it sees the features as they are, where they see
    another crop each time.
    """

    alpha: float = 2.0
    beta: float = 1.0
    channels: float = 0.8
    distinct: float = 0.8
    epsilon: float = 1e-3
    decay: float = 0.1

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (0.5, 1.0, 2.0, 4.0), "beta": (1.0, 3.0, 5.5)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha", "beta", "channels")
        check_shares(self, "channels", "distinct")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """Trained text vectors (T, ways, D) and keys (T, S, D), not of length 1; labels and weights (T, S, 1)."""
        text, present, labels = words.vectors, support.present, support.labels
        nothing = features[:, :0]
        products = products_between_classes(text, present, nothing, labels[:, :0])
        kept = best_channels(products, text_variance(text, present), self.channels, self.distinct).to(text.dtype)
        fixed = [present, words.scale * text, features, labels, support.real, kept]
        gradients = partial(_gradients, self.alpha, self.beta, words.scale)
        start = [torch.zeros_like(text), torch.ones_like(support.real)]
        residual, weights = self.train(gradients, features, labels, fixed, start)
        keys = (features + of_class(residual, labels)) * support.real
        return {"text": text + residual, "keys": keys, "labels": labels, "weights": weights * support.real}

    def image_logits(self, state: Mapping[str, Tensor], query: Tensor) -> Tensor:
        """The weighted affinities to each class, times alpha."""
        return self.alpha * cache_logits(state, query, self.beta)


def _gradients(
    alpha: float,
    beta: float,
    scale: float,
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    text: Tensor,
    keys: Tensor,
    key_labels: Tensor,
    real: Tensor,
    kept: Tensor,
    residual: Tensor,
    weights: Tensor,
) -> list[Tensor]:
    """Of the residual (T, W, D) and the weights (T, S, 1)."""
    # what a class adds to its keys multiplies all their affinities alike
    near, factor = affinities(keys, features, real, beta), (beta * residual @ features.mT).exp_()
    cache = alpha * factor * class_sums(near * weights, key_labels, text.shape[1])
    slope = loss_slope((text + scale * residual) @ features.mT + cache, labels, present)
    by_weights = alpha * (near * of_class(slope * factor, key_labels)).sum(2, keepdim=True)
    return [slope * (scale + beta * cache) @ features * kept, by_weights]


def best_channels(products: Tensor, variance: Tensor, share: float, distinct: float) -> Tensor:
    """Ones (T, 1, D) for the share of the channels with the most of the variance and the least of the products."""
    worth = distinct * variance - (1 - distinct) * products
    best = worth.topk(max(1, round(share * worth.shape[1])), 1).indices
    return torch.zeros_like(worth).scatter_(1, best, 1)[:, None]


def products_between_classes(text: Tensor, present: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """For each channel (T, D) the mean product of two items of different classes; a text vector is an item too.

    The products of all pairs are the square of the sum; less those within a class, the squares of its own sum.
    text (T, W, D), present (T, W), features (T, S, D) with zeros where labels (T, S) are -1.
    """
    text, features = in_float64(text), in_float64(features)
    there = present[..., None].to(text.dtype)
    real = (labels >= 0)[..., None].to(text.dtype)
    sums = text * there + class_sums(features, labels, text.shape[1])
    counts = there + class_sums(real, labels, text.shape[1])
    products = sums.sum(1).square() - sums.square().sum(1)
    return products / (counts.sum(1).square() - counts.square().sum(1)).clamp(min=1)


def text_variance(text: Tensor, present: Tensor) -> Tensor:
    """The variance (T, D) of each channel of the text vectors (T, W, D) among the classes; zero for one class."""
    text = in_float64(text)
    there = present[..., None].to(text.dtype)
    count = there.sum(1)
    mean = (text * there).sum(1) / count
    return ((text - mean[:, None]) * there).square().sum(1) / (count - 1).clamp(min=1)
