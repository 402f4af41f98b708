"""Pseudo-labels, and the choice of the queries whose pseudo-labels are trusted."""

import torch
from torch import Tensor

TIE = 1e-6  # scores that differ by less do so by rounding
SLACK = 1e-9  # the same for doubts, relative


def pseudo_labels(scores: Tensor, real: Tensor) -> Tensor:
    """One for the class of the highest score (T, Q, W), shared where classes tie; zeros where real (T, Q, 1) is."""
    highest = (scores >= scores.amax(2, keepdim=True) - TIE).to(scores.dtype)
    return highest / highest.sum(2, keepdim=True) * real


def least_doubtful(doubt: Tensor, pseudo: Tensor, count: int) -> Tensor:
    """The `count` queries of least doubt in each class (T, Q), all that tie for the last place among them.

    doubt (T, Q), zero or above; pseudo (T, Q, W), `pseudo_labels`, rows of zeros for queries that are not to be chosen.
    A class with fewer queries gives all it has.
    """
    doubts = doubt[..., None].masked_fill(pseudo == 0, torch.inf)
    last = doubts.topk(min(count, doubts.shape[1]), dim=1, largest=False, sorted=False).values.amax(1, keepdim=True)
    return ((doubts <= last * (1 + SLACK)) & (pseudo > 0)).any(2)
