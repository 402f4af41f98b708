"""ASIF: images and texts by their likeness to the same set of pairs (Norelli et al. 2023, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.settings import check_positive, check_whole

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


@dataclass(frozen=True)
class ASIF(Join):
    """Cosines to the anchor pairs, the k largest of them, to the power p; nothing is trained.

    images (N, D) and texts (N, E) are the anchors, of length 1. The paper takes k = 800 and p = 8 with 1.6 million
    pairs.
    """

    images: Tensor
    texts: Tensor
    k: int = 800
    power: float = 8.0

    def image(self, features: Tensor) -> Tensor:
        """Relative representation (N, anchors)."""
        return relative(features, self.images, self.k, self.power)

    def text(self, vectors: Tensor) -> Tensor:
        """Relative representation (N, anchors)."""
        return relative(vectors, self.texts, self.k, self.power)


def relative(vectors: Tensor, anchors: Tensor, k: int, power: float) -> Tensor:
    """Cosines of vectors (N, D) to anchors (A, D) of length 1: the k largest, to a power with their sign; 0 else."""
    cosines = normalize(vectors, dim=1) @ anchors.T
    kept, places = cosines.topk(min(k, len(anchors)), dim=1)
    return torch.zeros_like(cosines).scatter(1, places, kept.abs().pow(power).copysign(kept))


def fit_asif(pairs: Pairs, k: int = 800, power: float = 8.0) -> ASIF:
    """The pairs as anchors; k is at most a tenth of them where there are fewer than 8,000."""
    check_whole("asif", k=k)
    check_positive("asif", power=power)
    few = max(1, min(k, len(pairs.vectors) // 10))
    return ASIF(normalize(pairs.features, dim=1), normalize(pairs.vectors, dim=1), few, power)
