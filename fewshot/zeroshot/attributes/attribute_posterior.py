"""What DAP and IAP share: from the probabilities of attributes to classes (Lampert et al. 2014, eq. 2 and 4)."""

from typing import Literal

import torch
from torch import Tensor

Prior = Literal["empirical", "half"]


def attribute_prior(attributes: Tensor, prior: Prior) -> Tensor:
    """p(attribute) (A,): its share among the seen classes (C, A), or one half.

    An attribute that all seen classes share, or none, cannot be learned from them: it gets its share, 0 or 1, by which
    `class_scores` knows it.
    """
    share = attributes.mean(0)
    return share if prior == "empirical" else torch.where((share > 0) & (share < 1), 0.5, share)


def class_scores(present: Tensor, absent: Tensor, prior: Tensor, attributes: Tensor) -> Tensor:
    """Sum over attributes of log p(a | item) - log p(a), for the values a that each class has; (N, K).

    present, absent (N, A): log probabilities that an item has an attribute, or not; prior (A,); attributes (K, A) 0 or
    1. Attributes of prior 0 or 1 count for nothing. The prior of a class is uniform.
    """
    known = (prior > 0) & (prior < 1)
    present, absent, prior, attributes = present[:, known], absent[:, known], prior[known], attributes[:, known]
    return (present - prior.log()) @ attributes.mT + (absent - torch.log1p(-prior)) @ (1 - attributes).mT
