"""What a join is fitted on: image features beside text vectors, from pictures or from a classifier's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fewshot.backbones.bridge.halves import ImageHalf, TextHalf
from fewshot.errors import InvalidInput

_FEWEST = 10
_CONFIDENCE = 0.75  # about how sure an ImageNet classifier is of the class it names


@dataclass(frozen=True)
class Pairs:
    """Features (N, D) and, row by row, the text vectors (N, E), of length 1, of what they show.

    Where each pair is a class of a classifier, weight (N, D) and bias (N,) are its rows.
    """

    features: Tensor
    vectors: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None

    def select(self, rows: Tensor) -> Pairs:
        """The pairs with these row numbers; a classifier then knows these classes only."""
        parts = {"weight": self.weight, "bias": self.bias}
        kept = {name: None if part is None else part[rows] for name, part in parts.items()}
        return replace(self, features=self.features[rows], vectors=self.vectors[rows], **kept)


def from_images(features: Tensor, texts: Sequence[str], image: ImageHalf, text: TextHalf) -> Pairs:
    """Pairs of features (N, D) of `image` and the text of each; raises `InvalidInput` where they do not go together."""
    if features.ndim != 2 or not features.is_floating_point() or len(features) != len(texts):
        raise InvalidInput(
            f"pairs are features (N, D) and N texts, found features of shape {tuple(features.shape)} and {len(texts)} "
            "texts"
        )
    if features.shape[1] != image.dim:
        raise InvalidInput(
            f"the features of the pairs have {features.shape[1]} dimensions and those of {image.name} {image.dim}: "
            "embed the images with it"
        )
    if len(features) < _FEWEST:
        raise InvalidInput(f"fitting a bridge needs {_FEWEST} pairs or more, found {len(features)}")
    if not features.isfinite().all():
        raise InvalidInput("the features of the pairs hold NaN or infinite values")
    return Pairs(features.detach().cpu().double(), normalize(text.encode(list(texts)).cpu().double(), dim=1))


def from_classifier(head: nn.Linear, vectors: Tensor) -> Pairs:
    """A pair for each class of a classifier, with no image: its row in place of a feature, and its text vector (C, E).

    Features are the centred rows, all times the one factor that makes the classifier as sure of them as it is of images
    (a mean probability of 0.75).
    """
    weight = head.weight.detach().cpu().double()
    bias = torch.zeros(len(weight)).double() if head.bias is None else head.bias.detach().cpu().double()
    rows = weight - weight.mean(0)
    return Pairs(rows * _factor(rows, weight, bias), normalize(vectors.double(), dim=1), weight, bias)


def _factor(rows: Tensor, weight: Tensor, bias: Tensor) -> float:
    logits = rows @ weight.T
    low, high = 0.0, 1e6
    for _ in range(60):  # halving: the probability of the own class grows with the factor
        middle = (low + high) / 2
        sure = (middle * logits + bias).softmax(1).diagonal().mean()
        low, high = (low, middle) if sure > _CONFIDENCE else (middle, high)
    return high
