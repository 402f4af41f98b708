"""The zero-shot logits of image features."""

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.features import l2_normalize
from fewshot.learners.words import Words


@torch.no_grad()
def zero_shot_logits(words: Words, features: Tensor) -> Tensor:
    """Logits (N, W), `scale` f·t + `bias`, of features (N, D) divided by their lengths; float64 where these are.

    Features from before the image tower's last projection are projected first, where the words carry it. Raises
    `InvalidInput` for other shapes or values that are not finite.
    """
    if features.ndim != 2 or features.shape[1] != words.dim or not features.is_floating_point():
        found = f"{str(features.dtype).removeprefix('torch.')} of shape {tuple(features.shape)}"
        raise InvalidInput(f"features must be floats (N, {words.dim}) of the words' backbone, found {found}")
    if not features.isfinite().all():
        raise InvalidInput("the features hold NaN or infinite values")
    features = features.to(words.vectors.device, torch.float64 if features.dtype == torch.float64 else torch.float32)
    if words.projection is not None:
        features = features @ words.projection.to(features)
    return words.scale * l2_normalize(features) @ words.vectors.to(features).T + words.bias
