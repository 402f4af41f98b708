"""NLEEP: LEEP with clusters of the features in place of the source's classes (Li et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.transfer.transferability.checks import check_features
from fewshot.transfer.transferability.leep import expected_empirical_predictor


def nleep(
    features: Tensor, labels: Tensor, energy: float = 0.8, clusters_per_class: float = 5.0, seed: int = 0
) -> float:
    """LEEP of the posteriors of a Gaussian mixture, fitted to the principal components of the features; at most 0.

    features (N, D), labels (N,). `energy` is the share of variance that the components keep, `clusters_per_class` how
    many Gaussians there are to a class (the paper takes 0.8 and 5). It needs no source head, so a self-supervised
    network can be scored. Raises `InvalidInput` for fewer items than clusters.
    """
    features, labels = check_features(features, labels)
    clusters = math.ceil(clusters_per_class * (int(labels.max()) + 1))
    if len(features) < clusters:
        raise InvalidInput(
            f"nleep fits {clusters} clusters, which needs as many items, found {len(features)}; lower "
            "clusters_per_class or add items"
        )
    return expected_empirical_predictor(cluster_posteriors(features, energy, clusters, seed), labels)


def cluster_posteriors(features: Tensor, energy: float, clusters: int, seed: int) -> Tensor:
    """p(cluster | item) (N, clusters) of a mixture with full covariances, fitted by EM from k-means."""
    try:
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture
    except ImportError:
        raise MissingPackage("scikit-learn", "NLEEP") from None
    reduced = PCA(energy, svd_solver="full").fit_transform(features.numpy())
    scale = float(reduced.std()) or 1.0  # the floor of the covariances is meant for features of about this size
    mixture = GaussianMixture(clusters, random_state=seed, reg_covar=1e-4, max_iter=50)
    posteriors = torch.from_numpy(mixture.fit(reduced / scale).predict_proba(reduced / scale))
    return posteriors / posteriors.sum(1, keepdim=True)
