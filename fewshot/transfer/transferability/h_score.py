"""H-score: the spread of class means against that of all features (Bao et al. 2019; Ibrahim et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.errors import MissingPackage
from fewshot.transfer.transferability.checks import check_features, class_means


def h_score(features: Tensor, labels: Tensor) -> float:
    """tr(cov(f)⁺ cov(E[f | y])), between 0 and the smaller of D and classes - 1 (Bao et al. 2019).

    features (N, D), labels (N,). With as many features as items every class can be told from the rest and the score is
    at its upper end whatever the labels; `shrunk_h_score` is made for that.
    """
    features, labels = check_features(features, labels)
    _, singular, right = _centred_svd(features)
    kept = singular > singular[0] * max(features.shape) * torch.finfo(features.dtype).eps
    between = _class_shifts(features, labels) @ right[kept].T / singular[kept]
    return float(between.square().sum())


def shrunk_h_score(features: Tensor, labels: Tensor) -> float:
    """(1 - shrinkage) tr(cov_shrunk(f)⁻¹ cov(E[f | y])), for few items (Ibrahim et al. 2022).

    The covariance is drawn towards a multiple of the identity, by as much as Ledoit and Wolf (2004) estimate to be
    best.
    """
    try:
        from sklearn.covariance import ledoit_wolf_shrinkage
    except ImportError:
        raise MissingPackage("scikit-learn", "the shrunk H-score") from None
    features, labels = check_features(features, labels)
    shrinkage = float(ledoit_wolf_shrinkage(features.numpy()))
    _, singular, right = _centred_svd(features)
    variances = singular.square() / len(features)
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / features.shape[1]
    between = _class_shifts(features, labels) @ right.T
    return float((1 - shrinkage) * (between.square() / shrunk.clamp(min=1e-300)).sum() / len(features))


def _centred_svd(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.linalg.svd(features - features.mean(0), full_matrices=False)


def _class_shifts(features: Tensor, labels: Tensor) -> Tensor:
    """Each class mean less the mean of all, times the root of its number of items: (classes, D)."""
    return labels.bincount().double().sqrt()[:, None] * (class_means(features, labels) - features.mean(0))
