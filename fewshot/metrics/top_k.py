"""Top-k accuracy of each task."""

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics.accuracy import check_scores, mean_over_queries


def top_k_accuracy(logits: Tensor, labels: Tensor, k: int = 5) -> Tensor:
    """The share of queries whose class is among the k best: logits (T, Q, W), labels (T, Q), -1 pads  ->  (T,).

    Equal logits rank by class number, so that k = 1 is `episode_accuracy`. Raises `InvalidInput` unless 1 <= k <= W.
    """
    check_scores("logits", logits, labels)
    ways = logits.shape[2]
    if not 1 <= k <= ways:
        raise InvalidInput(f"k must lie between 1 and the {ways} ways, found {k}")
    own = labels.clamp(min=0).unsqueeze(-1)
    score = logits.gather(-1, own)
    before = (logits > score) | ((logits == score) & (torch.arange(ways, device=logits.device) < own))
    return mean_over_queries(before.sum(-1) < k, labels)
