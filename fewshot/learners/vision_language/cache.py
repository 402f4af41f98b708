"""The cache model: items of the support are keys, their classes the values (Zhang et al. 2022, eq. 4 and 5)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fewshot.learners.vision_language.by_class import class_sums

CHUNK_BYTES = 16 << 20  # of affinities at a time


def affinities(keys: Tensor, query: Tensor, weights: Tensor, beta: float) -> Tensor:
    """exp(-beta (1 - key . query)) times the weight of each key (T, S, Q).

    keys (T, S, D); query (T, Q, D); weights (T, S, 1), zero for padding.
    """
    return torch.baddbmm(keys.new_full((1, 1, 1), -beta), keys, query.mT, alpha=beta).exp_().mul_(weights)


def cache_logits(state: Mapping[str, Tensor], query: Tensor, beta: float) -> Tensor:
    """The sum (T, Q, ways) of the affinities of a query to the keys of each class, for some queries at a time.

    state: the `keys`, their `labels` (T, S) and `weights`; the `text` vectors, one a class.
    """
    labels, ways = state["labels"], state["text"].shape[1]
    logits = query.new_empty(*query.shape[:2], ways)
    size = max(1, CHUNK_BYTES // (labels.numel() * query.element_size()))
    for first in range(0, query.shape[1], size):
        near = affinities(state["keys"], query[:, first : first + size], state["weights"], beta)
        logits[:, first : first + size] = class_sums(near, labels, ways).mT
    return logits
