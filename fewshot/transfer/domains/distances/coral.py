"""CORAL distance: how far the covariances of two domains lie apart (Sun and Saenko 2016, Deep CORAL, eq. 1 to 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.transfer.domains.checks import check_vectors


def coral_distance(source: Tensor, target: Tensor) -> float:
    """|C_source - C_target|²_F / (4 D²) of source (N, D) and target (M, D); it depends on the features' scale."""
    return float(coral_loss(*check_vectors(source, target)))


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """The same as a scalar tensor with a gradient, without checks."""
    return (covariance(source) - covariance(target)).square().sum() / (4 * source.shape[1] ** 2)


def covariance(items: Tensor) -> Tensor:
    """(D, D) of items (N, D), with N - 1 in the denominator."""
    centred = items - items.mean(0)
    return centred.mT @ centred / (len(items) - 1)


def relative_coral_distance(source: Tensor, target: Tensor) -> float:
    """|C_source - C_target|_F / (|C_source|_F + |C_target|_F): in [0, 1] whatever the scale."""
    source, target = check_vectors(source, target)
    of_source, of_target = covariance(source), covariance(target)
    return float(torch.dist(of_source, of_target) / (of_source.norm() + of_target.norm()))
