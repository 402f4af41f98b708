"""TransRate: the mutual information of features and labels by coding rates (Huang et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.transferability.checks import check_features


def transrate(features: Tensor, labels: Tensor, distortion: float = 1e-4, scaled: bool = False) -> float:
    """How many nats fewer the centred features take to code, up to `distortion`, once the class is known.

    features (N, D), labels (N,): R(Z) - sum over classes of n_c / N R(Z_c), where R(Z) = log det(I + ZᵀZ / (n eps)) / 2
    (the authors' code weighs classes alike, which is the same where they are balanced). It grows with the scale of the
    features; `scaled` divides them by their root mean square length first, so that networks of other scale compare.
    Raises `InvalidInput` for a distortion that is not above 0.
    """
    if not distortion > 0:
        raise InvalidInput(f"distortion must be above 0, found {distortion}")
    features, labels = check_features(features, labels)
    centred = features - features.mean(0)
    if scaled:
        centred = centred / centred.square().sum(1).mean().sqrt()
    given = sum(
        float((labels == number).double().mean()) * coding_rate(centred[labels == number], distortion)
        for number in range(int(labels.max()) + 1)
    )
    return coding_rate(centred, distortion) - given


def coding_rate(features: Tensor, distortion: float) -> float:
    """Half of log det(I + ZᵀZ / (n distortion)) of features Z (n, D), through the smaller of the two Gram matrices."""
    count, dim = features.shape
    gram = features @ features.T if count < dim else features.T @ features
    return float(torch.linalg.slogdet(torch.eye(len(gram)).to(gram) + gram / (count * distortion))[1] / 2)
