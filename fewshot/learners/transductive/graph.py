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
    last = nearest.amin(2, keepdim=True)
    slack = _TIE[similarity.dtype] * nearest.nan_to_num(neginf=0.0).abs().amax((1, 2), keepdim=True)
    near = (similarity >= last - slack) & pairs
    if bool((near.sum(2) <= others).all()):
        return near.to(similarity.dtype)
    nearer = similarity > last + slack
    tied = near & ~nearer
    places = others - nearer.sum(2, keepdim=True)
    share = places / tied.sum(2, keepdim=True).clamp(min=1)
    return torch.where(tied, share.clamp(max=1).to(similarity.dtype), nearer.to(similarity.dtype))


def _largest(similarity: Tensor, k: int) -> Tensor:
    """The k largest entries of each row (T, N, k)."""
    if k > _FEW:
        return similarity.topk(k, sorted=False).values
    found = []
    for _ in range(k):
        best = similarity.max(2, keepdim=True)
        found.append(best.values)
        similarity = similarity.scatter(2, best.indices, -torch.inf)
    return torch.cat(found, 2)
