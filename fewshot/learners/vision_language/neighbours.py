"""Graphs of the nearest items by cosine: dense for small tasks, sparse for large ones."""

import torch
from torch import Tensor

from fewshot.learners.transductive.graph import largest_of_rows

DENSE = 2048  # items: a task with more gets a sparse graph, whose memory does not grow with their square
BLOCK_BYTES = 16 << 20  # of similarities at a time: larger blocks are slower on a CPU


def cosine_edges(
    items: Tensor, others: Tensor, real: tuple[Tensor, Tensor], k: int, sparse: bool, loops: bool = True
) -> Tensor:
    """Edges (T, M, N) from each of items (T, M, D) to the k nearest of others (T, N, D), all of length 1.

    An edge weighs its cosine, or nothing where that is below zero; others that tie for the last places share them.
    real: masks (T, M) and (T, N) of both, false for padding, which has no edges. loops: false where `others` are the
    items themselves, and none is its own neighbour.

    `torch.bmm` multiplies by the result, dense or sparse (COO).
    """
    rows = max(1, BLOCK_BYTES // (others[..., 0].numel() * others.element_size())) if sparse else len(items[0])
    blocks = []
    for first in range(0, max(1, items.shape[1]), max(1, rows)):
        block = slice(first, first + rows)
        cosines = items[:, block] @ others.mT
        pairs = real[0][:, block, None] & real[1][:, None]
        if not loops:
            pairs.diagonal(offset=first, dim1=1, dim2=2).fill_(False)
        edges = largest_of_rows(cosines, pairs, k) * cosines.clamp(min=0)
        blocks.append(edges.to_sparse() if sparse else edges)
    return torch.cat(blocks, 1)
