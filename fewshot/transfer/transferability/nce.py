"""NCE: the negative conditional entropy of the target's labels given the source's (Tran et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.transferability.checks import check_labels


def nce(source_labels: Tensor, labels: Tensor) -> float:
    """Minus the entropy H(target label | source label) in nats, counted over these items; at most 0.

    source_labels (N,) integers, what the source says of each item (the arg max of its head where there are no others);
    labels (N,). Raises `InvalidInput` for counts that differ or a single target class.
    """
    source_labels = torch.as_tensor(source_labels)
    if source_labels.ndim != 1 or source_labels.is_floating_point() or len(source_labels) == 0:
        raise InvalidInput(f"source_labels must be integers, one an item, found {tuple(source_labels.shape)}")
    labels = check_labels(labels, len(source_labels))
    _, source = source_labels.unique(return_inverse=True)
    width = int(source.max()) + 1
    joint = (labels * width + source).bincount(minlength=width * (int(labels.max()) + 1)).double().view(-1, width)
    conditional = joint / joint.sum(0)
    return float(torch.special.xlogy(joint, conditional).sum() / len(labels))
