"""Transformations of features that come before a classifier."""

import torch
from torch import Tensor

from fewshot.learners.precision import in_float64

_JITTER = {torch.float64: 1e-12, torch.float32: 1e-5}  # of the largest squared length: above the Gram matrix's rounding


def l2_normalize(features: Tensor) -> Tensor:
    """Features (..., D) scaled to length 1; zeros stay zeros."""
    return features / features.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def l2_normalize_(features: Tensor) -> Tensor:
    """The same in place, for features that nobody else holds: memory traffic is what such a step costs."""
    return features.div_(features.norm(dim=-1, keepdim=True).clamp_(min=1e-12))


def power_transform(features: Tensor, exponent: float = 0.5) -> Tensor:
    """(|x| + 1e-6)^exponent with the sign of x (Hu et al. 2021, eq. 1): long tails become more like a Gaussian."""
    return features.abs().add_(1e-6).pow_(exponent).copysign_(features)


def min_max_scale(features: Tensor, real: Tensor) -> Tensor:
    """Each dimension of the features (T, N, D) of a task to [0, 1]; real (T, N, 1) is zero for padding.

    A dimension that is constant becomes 0.
    """
    absent = real == 0
    low = features.masked_fill(absent, torch.inf).amin(1, keepdim=True)
    span = features.masked_fill(absent, -torch.inf).amax(1, keepdim=True) - low
    return (features - low) / torch.where(span > 0, span, 1) * real


def to_span(features: Tensor) -> Tensor:
    """Features (T, N, D) with the same products among each other in at most N dimensions (T, N, min(N, D)).

    N vectors lie in a space of N dimensions: the lower triangular factor of their Gram matrix has the same Gram matrix,
    and with it the same distances, means and projections. Found in float64 where the device has it: squared distances
    then grow by 2e-12 of the largest squared length.
    """
    if features.shape[1] >= features.shape[2]:
        return features
    wide = in_float64(features)
    gram = wide @ wide.mT
    jitter = _JITTER[gram.dtype] * gram.diagonal(dim1=1, dim2=2).amax(1)
    gram.diagonal(dim1=1, dim2=2).add_(jitter.clamp(min=1e-30)[:, None])
    return torch.linalg.cholesky(gram).to(features.dtype)


def to_principal(features: Tensor) -> Tensor:
    """Features (T, N, D) in the coordinates of their singular directions (T, N, min(N, D)), the largest last.

    They have the same products among each other; the columns are orthogonal, each as long as its singular value.
    """
    wide = in_float64(features)
    if features.shape[1] >= features.shape[2]:
        directions = torch.linalg.eigh(wide.mT @ wide)[1]
        return (wide @ directions).to(features.dtype)
    # eigenvectors of the Gram matrix are the left singular vectors, its eigenvalues the squared singular values
    values, vectors = torch.linalg.eigh(wide @ wide.mT)
    return (vectors * values[:, None].clamp(min=0).sqrt()).to(features.dtype)
