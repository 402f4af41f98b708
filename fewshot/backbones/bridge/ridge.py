"""Ridge regression from text vectors to image features, or the other way, both sides centred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from fewshot.backbones.bridge.linear import ImageToText, TextToImage
from fewshot.backbones.bridge.settings import check_positive
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


def ridge_map(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The weight (D, K) that minimises |inputs weight - targets|² + penalty |weight|².

    inputs (N, D), targets (N, K). Solved with as many unknowns a column as there are rows or dimensions, the fewer.
    """
    count, dim = inputs.shape
    wide = dim > count
    gram = inputs @ inputs.T if wide else inputs.T @ inputs
    gram.diagonal().add_(penalty)
    if wide:
        return inputs.T @ torch.linalg.solve(gram, targets)
    return torch.linalg.solve(gram, inputs.T @ targets)


def fit_ridge(
    pairs: Pairs, penalty: float = 1.0, direction: Literal["text-to-image", "image-to-text"] = "text-to-image"
) -> TextToImage | ImageToText:
    """Least squares on pairs; "text-to-image" keeps all that image features tell.

    penalty is that of text vectors of length 1, and of image features divided by the root mean square of their lengths.
    """
    if direction not in ("text-to-image", "image-to-text"):
        raise InvalidInput(f"direction must be 'text-to-image' or 'image-to-text', found {direction!r}")
    check_positive("ridge", penalty=penalty)
    image_centre, text_centre = pairs.features.mean(0), pairs.vectors.mean(0)
    features, vectors = pairs.features - image_centre, pairs.vectors - text_centre
    if direction == "text-to-image":
        return TextToImage(image_centre, text_centre, ridge_map(vectors, features, penalty))
    length = features.square().sum(1).mean().sqrt()
    return ImageToText(image_centre, text_centre, ridge_map(features / length, vectors, penalty) / length)
