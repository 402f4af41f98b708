"""From items to classes and back without one-hot matrices, whose products would cost as much as all else together."""

import torch
from torch import Tensor


def class_sums(rows: Tensor, labels: Tensor, ways: int) -> Tensor:
    """The sums (T, ways, N) of the rows (T, S, N) of each class; rows are zero where labels (T, S) are -1."""
    tasks, _, width = rows.shape
    sums = rows.new_zeros(tasks * ways, width)
    return sums.index_add_(0, _places(labels, ways), rows.flatten(0, 1)).view(tasks, ways, width)


def of_class(values: Tensor, labels: Tensor) -> Tensor:
    """For each item (T, S, N) the row of its class in values (T, ways, N); some row for padding."""
    ways, width = values.shape[1:]
    return values.reshape(-1, width).index_select(0, _places(labels, ways)).view(*labels.shape, width)


def _places(labels: Tensor, ways: int) -> Tensor:
    """The row of the class of each item when the classes of all tasks are stacked (T * S,)."""
    first = ways * torch.arange(len(labels), device=labels.device)
    return (labels.clamp(min=0) + first[:, None]).flatten()
