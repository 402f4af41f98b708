"""Distances and similarities between two sets of vectors in each task, by matrix products."""

from torch import Tensor

_EPS = 1e-12


def squared_distance(left: Tensor, right: Tensor) -> Tensor:
    """Squared Euclidean distances (T, L, R) between left (T, L, D) and right (T, R, D); never below zero."""
    squares = _norm(left).square()[..., None] + _norm(right).square()[..., None, :]
    return (squares - 2 * (left @ right.mT)).clamp(min=0)


def squared_distance_of_unit(left: Tensor, right: Tensor) -> Tensor:
    """Squared Euclidean distances (T, L, R) between left (T, L, D) scaled to length 1 and right (T, R, D).

    The products are scaled instead of the vectors, which spares writing them; vectors of zeros stay zeros.
    """
    lengths = _norm(left)[..., None]
    squares = (lengths > _EPS) + _norm(right).square()[..., None, :]
    return (squares - 2 * (left @ right.mT) / lengths.clamp(min=_EPS)).clamp(min=0)


def cosine_similarity(left: Tensor, right: Tensor) -> Tensor:
    """Cosines (T, L, R) in [-1, 1] between left (T, L, D) and right (T, R, D); 0 for a vector of zeros."""
    lengths = _norm(left).clamp(min=_EPS)[..., None] * _norm(right).clamp(min=_EPS)[..., None, :]
    return ((left @ right.mT) / lengths).clamp(-1, 1)


def _norm(vectors: Tensor) -> Tensor:
    return vectors.norm(dim=-1)
