"""Transformations of features that come before a classifier."""

from torch import Tensor


def l2_normalize(features: Tensor) -> Tensor:
    """Features (..., D) scaled to length 1; zeros stay zeros."""
    return features / features.norm(dim=-1, keepdim=True).clamp(min=1e-12)
