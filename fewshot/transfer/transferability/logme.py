"""LogME: the evidence of a linear model from features to labels (You et al. 2021, algorithm 1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fewshot.transfer.transferability.checks import check_features


def logme(features: Tensor, labels: Tensor, steps: int = 100, tolerance: float = 1e-3) -> float:
    """The largest log evidence an item, log p(y | features) / N, in the mean over one-against-rest targets.

    features (N, D), labels (N,). The weights are Gaussian with precision alpha and the noise with precision beta; both
    are found by fixed-point iteration (MacKay 1992) until beta / alpha changes by less than `tolerance` of itself,
    `steps` at the most. The features are taken as they are, without a bias, as in the paper.
    """
    features, labels = check_features(features, labels)
    left, singular, _ = torch.linalg.svd(features, full_matrices=False)
    targets = one_hot(labels).double()
    return float(torch.stack([_evidence(left.T @ y, singular.square(), y, features.shape[1], steps, tolerance)
                              for y in targets.T]).mean())  # fmt: skip


def _evidence(projected: Tensor, squares: Tensor, target: Tensor, dim: int, steps: int, tolerance: float) -> Tensor:
    """The log evidence an item of one target (N,), given its projection (R,) on the left singular vectors.

    With the singular value decomposition every step is linear in R: the posterior mean has the coordinates
    beta s u·y / (alpha + beta s²), and what it leaves unexplained is u·y alpha / (alpha + beta s²) within the span.
    """
    count, outside = len(target), (target @ target - projected @ projected).clamp(min=0)
    ratio = projected.new_tensor(1.0)  # beta / alpha
    for _ in range(steps):
        shrunk = 1 / (1 + ratio * squares)
        length = (ratio * projected * shrunk).square() @ squares  # |m|²
        residual = ((projected * shrunk).square().sum() + outside).clamp(min=1e-12)
        effective = (ratio * squares * shrunk).sum()  # gamma
        alpha = effective / length.clamp(min=1e-12)
        beta = (count - effective).clamp(min=1e-12) / residual
        last, ratio = ratio, beta / alpha
        if abs(ratio - last) <= tolerance * last:
            break
    shrunk = 1 / (1 + ratio * squares)
    length = (ratio * projected * shrunk).square() @ squares
    residual = (projected * shrunk).square().sum() + outside
    log_det = dim * alpha.log() + (1 + ratio * squares).log().sum()  # of A = alpha I + beta FᵀF
    evidence = count * beta.log() + dim * alpha.log() - count * math.log(2 * math.pi)
    return (evidence - beta * residual - alpha * length - log_det) / (2 * count)
