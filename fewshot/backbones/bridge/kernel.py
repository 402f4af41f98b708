"""Kernel ridge regression from text vectors to image features (Saunders et al. 1998), both sides centred.

A text is drawn to the pairs whose texts are near it and hardly moved by the rest, where a linear map has to serve all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.linear import ImageSpace
from fewshot.backbones.bridge.settings import check_positive
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs

_MOST = 20_000  # pairs: their kernel takes 3 GB


@dataclass(frozen=True)
class KernelToImage(ImageSpace):
    """Text vectors mapped to the space of the image features, which are centred only.

    image_centre (D,), anchors (A, E) of length 1, weight (A, D), centre (D,): a text t of length 1 becomes
    k(t) @ weight - centre, with the kernel k(t) = exp(sharpness (anchors @ t - 1)), a Gaussian of their distance.
    """

    image_centre: Tensor
    anchors: Tensor
    weight: Tensor
    centre: Tensor
    sharpness: float

    def text(self, vectors: Tensor) -> Tensor:
        """Mapped text vectors (N, D)."""
        return likeness(normalize(vectors, dim=1), self.anchors, self.sharpness) @ self.weight - self.centre


def likeness(vectors: Tensor, anchors: Tensor, sharpness: float) -> Tensor:
    """exp(sharpness (cosine - 1)) of vectors (N, E) and anchors (A, E), all of length 1: (N, A), 1 where they agree."""
    return (sharpness * (vectors @ anchors.T - 1)).exp()


def fit_kernel(pairs: Pairs, sharpness: float = 5.0, penalty: float = 0.3) -> KernelToImage:
    """The map with the least squared error on the pairs plus penalty times its squared norm; its bias is free.

    Raises `InvalidInput` for more than 20,000 pairs, since memory grows with the square of their number.
    """
    check_positive("kernel", sharpness=sharpness, penalty=penalty)
    if len(pairs.vectors) > _MOST:
        raise InvalidInput(f"kernel takes {_MOST} pairs or fewer, found {len(pairs.vectors)}; take 'ridge' or a part")
    image_centre = pairs.features.mean(0)
    gram = likeness(pairs.vectors, pairs.vectors, sharpness)
    means = gram.mean(0)
    centred = gram - means - means[:, None] + means.mean()
    centred.diagonal().add_(penalty)
    weight = torch.linalg.solve(centred, pairs.features - image_centre)
    return KernelToImage(image_centre, pairs.vectors, weight, means @ weight, sharpness)
