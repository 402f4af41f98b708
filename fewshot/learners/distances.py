"""Distances and similarities between two sets of vectors in each task, by matrix products."""

import torch
from torch import Tensor

_EPS = 1e-12
_FEW = 8  # vectors on one side: up to so many, a product with that side first takes half the time on a CPU
CANCELLED = 0.01  # of a squared length: with less left after a shift, rounding weighs over a hundred times as much


def inner_products(left: Tensor, right: Tensor) -> Tensor:
    """Inner products (T, L, R) of left (T, L, D) with right (T, R, D)."""
    return (right @ left.mT).mT if right.shape[1] <= _FEW else left @ right.mT


def squared_distance(left: Tensor, right: Tensor) -> Tensor:
    """Squared Euclidean distances (T, L, R) between left (T, L, D) and right (T, R, D); never below zero."""
    squares = _norm(left).square()[..., None] + _norm(right).square()[..., None, :]
    return (squares - 2 * inner_products(left, right)).clamp(min=0)


def squared_distance_of_unit(left: Tensor, right: Tensor, shift: Tensor) -> Tensor:
    """Squared Euclidean distances (T, L, R) between left (T, L, D), moved by shift and scaled to length 1, and right.

    right (T, R, D); shift (T or 1, 1, D). The products are scaled instead of the vectors, which spares writing them;
    vectors of zeros stay zeros.
    """
    products, moved = shifted_products(left, squared_length(left), shift, right)
    lengths = moved.sqrt()
    squares = (lengths > _EPS) + _norm(right).square()[..., None, :]
    return (squares - 2 * products / lengths.clamp(min=_EPS)).clamp(min=0)


def squared_length(items: Tensor) -> Tensor:
    """Of items (T, N, D), as (T, N, 1)."""
    return items.norm(dim=2, keepdim=True).square()


def shifted_products(items: Tensor, squares: Tensor, shift: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Products (T, N, R) of items + shift with others, and the squared lengths (T, N, 1) of items + shift.

    items (T, N, D) with their squared lengths (T, N, 1); shift (T or 1, 1, D); others (T, R, D). The sum is not
    written, unless so little is left of an item that rounding would show.
    """
    both = torch.cat([others, shift.expand(len(others), -1, -1)], 1)
    found = products_after_shift(inner_products(items, both), squares, both)
    if found is None:
        items = items + shift
        return inner_products(items, others), squared_length(items)
    return found


def products_after_shift(products: Tensor, squares: Tensor, both: Tensor) -> tuple[Tensor, Tensor] | None:
    """What `shifted_products` gives, or None where so little is left of an item that rounding would show.

    products (T, N, R + 1) of the items with both (T, R + 1, D), of which the last is the shift; squares (T, N, 1).
    """
    of_shift = both[:, -1:] @ both.mT
    products = products + of_shift
    moved = squares + 2 * products[..., -1:] - of_shift[..., -1:]
    return None if bool((moved < CANCELLED * squares).any()) else (products[..., :-1], moved)


def cosine_similarity(left: Tensor, right: Tensor) -> Tensor:
    """Cosines (T, L, R) in [-1, 1] between left (T, L, D) and right (T, R, D); 0 for a vector of zeros."""
    lengths = _norm(left).clamp(min=_EPS)[..., None] * _norm(right).clamp(min=_EPS)[..., None, :]
    return (inner_products(left, right) / lengths).clamp(-1, 1)


def _norm(vectors: Tensor) -> Tensor:
    return vectors.norm(dim=-1)
