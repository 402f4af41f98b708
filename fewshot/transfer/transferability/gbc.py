"""GBC: how much the classes overlap as Gaussians (Pandy et al. 2022)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.transferability.checks import check_class_sizes, check_features, class_means

FLOOR = 1e-6  # of the mean variance: a class without any would be infinitely far from all others


def gbc(
    features: Tensor, labels: Tensor, gaussian: Literal["spherical", "diagonal"] = "spherical", dim: int = 64
) -> float:
    """Minus the sum of Bhattacharyya coefficients exp(-distance) over ordered pairs of classes; at most 0.

    features (N, D), labels (N,). Each class is a Gaussian of one variance ("spherical") or one a coordinate
    ("diagonal") over the first `dim` principal components. Raises `InvalidInput` for a class of a single item.
    """
    if gaussian not in ("spherical", "diagonal"):
        raise InvalidInput(f"gaussian must be 'spherical' or 'diagonal', found {gaussian!r}")
    features, labels = check_features(features, labels)
    check_class_sizes(labels, 2, "gbc")
    reduced = principal_components(features, dim)
    means = class_means(reduced, labels)
    variances = class_means((reduced - means[labels]).square(), labels)
    if gaussian == "spherical":
        variances = variances.mean(1, keepdim=True).expand_as(means)
    variances = variances.clamp(min=FLOOR * float(reduced.var(0).mean()))
    overlap = (-bhattacharyya_distances(means, variances)).exp()
    return -float(overlap.sum() - overlap.trace())


def bhattacharyya_distances(means: Tensor, variances: Tensor) -> Tensor:
    """Between Gaussians with diagonal covariances, means and variances (C, D) -> (C, C)."""
    middle = (variances[:, None] + variances) / 2
    apart = ((means[:, None] - means).square() / middle).sum(2) / 8
    logs = variances.log().sum(1)
    return apart + (middle.log().sum(2) - (logs[:, None] + logs) / 2) / 2


def principal_components(features: Tensor, dim: int) -> Tensor:
    """Centred features in the coordinates of their first `dim` principal axes (N, min(dim, N, D))."""
    left, singular, _ = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    return (left * singular)[:, :dim]
