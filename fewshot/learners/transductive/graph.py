"""Graphs of nearest neighbours within each task."""

import torch
from torch import Tensor

_FEW = 4  # neighbours: up to so many, one maximum after the other is faster than torch's topk
_TIE = {torch.float64: 1e-12, torch.float32: 1e-6}  # of the largest similarity: what differs by less is rounding


def nearest_neighbours(similarity: Tensor, mask: Tensor, k: int) -> Tensor:
    """Edges (T, N, N) from each item to the k others that are most similar to it, by similarity (T, N, N).

    An edge weighs 1. Items that tie for the last places share them, so the order of items does not matter; an item
    with fewer than k others has an edge to each. mask (T, N) is false for padding, which has no edges.
    """
    pairs = mask[:, :, None] & mask[:, None]
    pairs.diagonal(dim1=1, dim2=2).fill_(False)
    return largest_of_rows(similarity, pairs, min(k, similarity.shape[1] - 1))


def largest_of_rows(similarity: Tensor, pairs: Tensor, k: int) -> Tensor:
    """Ones (T, M, N) at the k largest entries of each row of similarity (T, M, N), zeros elsewhere.

    Entries that tie for the last places share them. pairs (T, M, N) is false for entries that don't count.
    """
    others = min(k, similarity.shape[2])
    if not others or not similarity.shape[1]:
        return torch.zeros_like(similarity)
    similarity = similarity.masked_fill(~pairs, -torch.inf)
    nearest = _largest(similarity, others)
    least = torch.finfo(similarity.dtype).min  # above what doesn't count, where a row has fewer than k entries
    last = nearest.amin(2, keepdim=True).clamp(min=least)
    slack = _TIE[similarity.dtype] * nearest.nan_to_num(neginf=0.0).abs().amax((1, 2), keepdim=True)
    near = (similarity >= (last - slack).clamp(min=least)).to(similarity.dtype)
    if bool((near.sum(2) <= others).all()):
        return near
    nearer = (similarity > last + slack).to(similarity.dtype)
    tied = near - nearer
    share = (others - nearer.sum(2, keepdim=True)) / tied.sum(2, keepdim=True).clamp(min=1)
    return nearer + tied * share.clamp(max=1)


def _largest(similarity: Tensor, k: int) -> Tensor:
    """The k largest entries of each row (T, N, k)."""
    if k > _FEW:
        return similarity.topk(k, sorted=False).values
    found = []
    for _ in range(k):
        found.append(similarity.max(2, keepdim=True))
        similarity.scatter_(2, found[-1].indices, -torch.inf)
    for best in reversed(found):  # an index twice, where nothing is left in a row, gets back what it held first
        similarity.scatter_(2, best.indices, best.values)
    return torch.cat([best.values for best in found], 2)
