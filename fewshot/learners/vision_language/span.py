"""Training in the space that the support spans, which has fewer dimensions than the features where items are few."""

import torch
from torch import Tensor

from fewshot.learners.features import l2_normalize


class Span:
    """Coordinates in which gradient descent on `vectors` takes the same steps as in those of the features.

    A gradient that is a sum of features moves a vector only in their span, so it needs one coordinate for each item and
    one for what lies outside, which never turns. Where that saves less than half of the dimensions, all stay as they
    were. Not for optimisers that treat each coordinate by itself, such as Adam.

    features (T, S, D) and vectors (T, W, D) become (T, S, S + 1) and (T, W, S + 1).
    """

    def __init__(self, features: Tensor, vectors: Tensor) -> None:
        self.features, self.vectors = features, vectors
        self.basis: Tensor | None = None
        samples, dim = features.shape[1:]
        if 2 * (samples + 1) > dim:
            return
        self.basis = torch.linalg.qr(features.mT).Q
        inside = vectors @ self.basis
        outside = vectors - inside @ self.basis.mT
        self.direction = l2_normalize(outside)
        self.features = torch.nn.functional.pad(features @ self.basis, (0, 1))
        self.vectors = torch.cat([inside, outside.norm(dim=2, keepdim=True)], 2)

    def restored(self, vectors: Tensor) -> Tensor:
        """Vectors (T, W, D) in the coordinates of the features."""
        if self.basis is None:
            return vectors
        return vectors[..., :-1] @ self.basis.mT + vectors[..., -1:] * self.direction
