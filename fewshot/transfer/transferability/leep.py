"""LEEP: how well the source head's classes tell the target's (Nguyen et al. 2020, eq. 1 and 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.transfer.transferability.checks import check_probabilities


def leep(probabilities: Tensor, labels: Tensor) -> float:
    """The mean log probability of the target labels under the "expected empirical predictor", at most 0.

    probabilities (N, Z) of the source's Z classes, rows that sum to 1; labels (N,) integers. The predictor reads the
    target class off the source class: p(y) = sum_z p(y | z) p(z | x), with p(y | z) counted on these same items.
    Raises `InvalidInput` for probabilities that are none, or a single class.
    """
    return expected_empirical_predictor(*check_probabilities(probabilities, labels))


def expected_empirical_predictor(probabilities: Tensor, labels: Tensor) -> float:
    """The same for checked input: float64 rows that sum to 1, and labels without gaps."""
    items = torch.arange(len(labels))
    joint = probabilities.new_zeros(int(labels.max()) + 1, probabilities.shape[1])
    joint.index_add_(0, labels, probabilities)
    conditional = joint / joint.sum(0).clamp(min=torch.finfo(joint.dtype).tiny)  # a source class nobody is of adds 0
    return float((probabilities @ conditional.T)[items, labels].log().mean())
