"""A linear map of centred vectors on one side or on both."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.join import Join


class CentredImages(Join):
    """Image features less `image_centre` (D,), then mapped by `projection` (D, K)."""

    image_centre: Tensor

    def before(self, features: Tensor) -> Tensor:
        """Centred features (N, D)."""
        return features - self.image_centre


class ImageSpace(CentredImages):
    """The space of the image features, which are centred only: their projection is the identity."""

    def image(self, features: Tensor) -> Tensor:
        """Centred features (N, D)."""
        return self.before(features)

    @property
    def projection(self) -> Tensor:
        """The identity (D, D)."""
        return torch.eye(len(self.image_centre), dtype=self.image_centre.dtype, device=self.image_centre.device)


@dataclass(frozen=True)
class TextToImage(ImageSpace):
    """Text vectors mapped to the space of the image features, which are centred only.

    image_centre (D,), text_centre (E,), weight (E, D): a text becomes (t - text_centre) @ weight, with t of length 1.
    """

    image_centre: Tensor
    text_centre: Tensor
    weight: Tensor

    def text(self, vectors: Tensor) -> Tensor:
        """Mapped text vectors (N, D)."""
        return (normalize(vectors, dim=1) - self.text_centre) @ self.weight


@dataclass(frozen=True)
class ImageToText(CentredImages):
    """Image features mapped to the space of the text vectors, which are centred only.

    image_centre (D,), text_centre (E,), weight (D, E).
    """

    image_centre: Tensor
    text_centre: Tensor
    weight: Tensor

    def image(self, features: Tensor) -> Tensor:
        """Mapped image features (N, E)."""
        return self.before(features) @ self.weight

    @property
    def projection(self) -> Tensor:
        """The weight."""
        return self.weight

    def text(self, vectors: Tensor) -> Tensor:
        """Centred text vectors (N, E)."""
        return normalize(vectors, dim=1) - self.text_centre


@dataclass(frozen=True)
class TwoProjections(CentredImages):
    """Image features and text vectors, both centred and both mapped to a space of K dimensions.

    image_centre (D,), text_centre (E,), image_weight (D, K), text_weight (E, K).
    """

    image_centre: Tensor
    text_centre: Tensor
    image_weight: Tensor
    text_weight: Tensor

    def image(self, features: Tensor) -> Tensor:
        """Mapped image features (N, K)."""
        return self.before(features) @ self.image_weight

    @property
    def projection(self) -> Tensor:
        """The weight of the image side."""
        return self.image_weight

    def text(self, vectors: Tensor) -> Tensor:
        """Mapped text vectors (N, K)."""
        return (normalize(vectors, dim=1) - self.text_centre) @ self.text_weight
