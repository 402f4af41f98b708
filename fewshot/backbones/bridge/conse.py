"""ConSE: an image is the mean of the vectors of its most probable training classes (Norouzi et al. 2014, eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.settings import check_whole
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


@dataclass(frozen=True)
class ConSE(Join):
    """The k most probable classes of the backbone's own classifier, weighted by their probabilities.

    weight (C, D) and bias (C,) are the classifier, classes (C, E) the centred vectors of its class names, text_centre
    (E,) their mean before that; centring is not in the paper. Nothing is trained.
    """

    weight: Tensor
    bias: Tensor
    classes: Tensor
    text_centre: Tensor
    k: int = 10

    def image(self, features: Tensor) -> Tensor:
        """Convex combinations of class vectors (N, E)."""
        return conse(features @ self.weight.T + self.bias, self.classes, self.k)

    def text(self, vectors: Tensor) -> Tensor:
        """Centred text vectors (N, E)."""
        return normalize(vectors, dim=1) - self.text_centre


def conse(logits: Tensor, classes: Tensor, k: int) -> Tensor:
    """The mean of the vectors `classes` (C, E) of the k largest logits (N, C), weighted by probability: (N, E)."""
    probabilities, chosen = logits.softmax(1).topk(min(k, logits.shape[1]), dim=1)
    weights = torch.zeros_like(logits).scatter(1, chosen, probabilities / probabilities.sum(1, keepdim=True))
    return weights @ classes


def fit_conse(pairs: Pairs, k: int = 10) -> ConSE:
    """The join of a backbone with a classifier; raises `InvalidInput` for pairs that do not come from one."""
    check_whole("conse", k=k)
    if pairs.bias is None or pairs.weight is None:
        raise InvalidInput("conse is made from the backbone's classifier and its class names; leave pairs out")
    centre = pairs.vectors.mean(0)
    return ConSE(pairs.weight, pairs.bias, pairs.vectors - centre, centre, k)
