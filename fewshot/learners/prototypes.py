"""Classes as the mean of their members."""

import torch
from torch import Tensor


def one_hot(labels: Tensor, ways: int, like: Tensor) -> Tensor:
    """Labels (T, S) as (T, S, ways) ones and zeros of the type of `like`; a row of zeros for padding (-1)."""
    return (labels[..., None] == torch.arange(ways, device=labels.device)).to(like.dtype)


def class_means(features: Tensor, labels: Tensor, ways: int) -> Tensor:
    """The mean (T, ways, D) of the features (T, S, D) of each class; zero for a class without any.

    Labels (T, S) in [0, ways); -1 is padding.
    """
    return member_means(features, one_hot(labels, ways, features))


def member_means(features: Tensor, members: Tensor) -> Tensor:
    """The same (T, W, D), by members (T, S, W) as ones and zeros."""
    return (members.mT @ features) / members.sum(1).clamp(min=1)[..., None]
