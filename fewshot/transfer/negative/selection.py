"""Source items chosen one by one: those whose label the target's own head believes."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.negative.linear_head import check_items, fit_head


def agreeing_items(
    source: Tensor,
    source_labels: Tensor,
    target: Tensor,
    target_labels: Tensor,
    ways: int,
    top: int = 1,
    penalty: float = 1.0,
) -> Tensor:
    """Which source items (N,) bool have a label among the `top` classes of a head fitted to the target alone.

    source (N, D), target (M, D), labels in [0, ways). An item whose label contradicts the target is taken for harmful
    and left out, as a prediction that disagrees is in Jiang and Zhai (2007, Instance weighting for domain adaptation
    in NLP, sec. 3.1).
    """
    source, source_labels, _ = check_items(source, source_labels, ways)
    if not 1 <= top <= ways:
        raise InvalidInput(f"top must lie in 1..{ways}, the number of classes, found {top}")
    scores = fit_head(target, target_labels, ways, penalty)(source)
    best = scores.topk(top, dim=1).indices
    return (best == source_labels[:, None]).any(1)


def agreement_by_class(agreeing: Tensor, source_labels: Tensor, ways: int) -> Tensor:
    """The share (ways,) of each class's source items that were chosen; NaN for a class that the source lacks."""
    counts = torch.bincount(source_labels, minlength=ways)
    return torch.bincount(source_labels[agreeing], minlength=ways) / counts
