"""Gradients of the log loss where logits are scaled cosines, by either side of the cosine."""

from torch import Tensor

from fewshot.learners.vision_language.minibatches import loss_slope


def slope_by_vectors(scale: float, features: Tensor, labels: Tensor, present: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the mean log loss by class vectors (T, W, D) of any length; features (T, B, D) of length 1."""
    length = weight.norm(dim=2, keepdim=True).clamp(min=1e-12)
    unit = weight / length
    logits = scale * unit @ features.mT
    slope = loss_slope(logits, labels, present)
    # a cosine does not change along the vector itself
    across = scale * slope @ features - (slope * logits).sum(2, keepdim=True) * unit
    return across / length


def slope_by_features(scale: float, features: Tensor, labels: Tensor, present: Tensor, text: Tensor) -> Tensor:
    """The gradient of the mean log loss by features (T, B, D) of any length; text (T, W, D) of length 1."""
    length = features.norm(dim=2, keepdim=True).clamp(min=1e-12)
    unit = features / length
    logits = scale * text @ unit.mT
    slope = loss_slope(logits, labels, present)
    # a cosine does not change along the feature itself
    across = scale * slope.mT @ text - (slope * logits).sum(1)[..., None] * unit
    return across / length
