"""CLIP-Adapter: a small network that moves image features, trained on the support (Gao et al. 2021, eq. 4 and 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive, check_shares
from fewshot.learners.features import l2_normalize
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.cosines import slope_by_features
from fewshot.learners.vision_language.learner import word_logits
from fewshot.learners.vision_language.minibatches import MinibatchTraining
from fewshot.learners.words import Words


@register_learner(
    "clip-adapter",
    paper="Gao et al. 2021, CLIP-Adapter: Better Vision-Language Models with Feature Adapters, arXiv:2110.04544",
)
@dataclass(frozen=True)
class CLIPAdapter(MinibatchTraining):
    """Features mixed with what two layers make of them, the first to a quarter of the dimensions, both with a ReLU.

    ratio: the share of the layers; reduction: by how much the first narrows. The layers have no bias, so the length of
    features does not matter; they start as PyTorch's do, equal for all tasks. rate, epsilon, decay: of AdamW; the rate
    falls to zero along a cosine. epochs, batch: how often it sees each item, and items a step. The paper sets ratio per
    data set and its code 0.2; it does not hold the optimiser, so this is Adam as later authors compare with it
    (ProLIP, Fahes et al. 2024), on the features as they are where those see another crop each time.
    """

    ratio: float = 0.2
    reduction: int = 4
    decay: float = 0.0
    epochs: int = 300

    transfers: ClassVar[bool] = True
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"ratio": (0.2, 0.4, 0.6, 0.8), "rate": (1e-4, 1e-3, 1e-2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "reduction")
        check_shares(self, "ratio")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The weights of the layers, `narrow` (T, H, D) and `widen` (T, D, H)."""
        gradients = partial(_gradients, words.scale, self.ratio)
        start = [layer.expand(len(features), -1, -1) for layer in _layers(features, self.reduction)]
        narrow, widen = self.train(gradients, features, support.labels, [support.present, words.vectors], start)
        return {"narrow": narrow, "widen": widen}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Zero-shot logits of the moved features."""
        query = l2_normalize(query)
        hidden = (query @ state["narrow"].mT).relu_()
        moved = self.ratio * (hidden @ state["widen"].mT).relu_() + (1 - self.ratio) * query
        return word_logits(state, l2_normalize(moved))


def _layers(features: Tensor, reduction: int) -> list[Tensor]:
    """Two layers (H, D) and (D, H) before training: uniform up to one by the root of the number of their inputs."""
    draw = torch.Generator().manual_seed(0)
    dim = features.shape[2]
    hidden = max(1, dim // reduction)
    shapes = [(hidden, dim), (dim, hidden)]
    return [((2 * torch.rand(shape, generator=draw) - 1) / sqrt(shape[1])).to(features) for shape in shapes]


def _gradients(
    scale: float,
    ratio: float,
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    text: Tensor,
    narrow: Tensor,
    widen: Tensor,
) -> list[Tensor]:
    hidden = (features @ narrow.mT).relu_()
    wide = (hidden @ widen.mT).relu_()
    moved = ratio * wide + (1 - ratio) * features
    by_wide = ratio * slope_by_features(scale, moved, labels, present, text) * (wide > 0)
    by_hidden = by_wide @ widen * (hidden > 0)
    return [by_hidden.mT @ features, by_wide.mT @ hidden]
