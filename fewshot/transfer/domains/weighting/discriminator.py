"""Discriminator weights: a classifier of domains says how likely a source item would be of the target.

Bickel et al. 2007, Discriminative learning for differing training and test distributions, eq. 5: with p(target | x)
from logistic regression, the ratio of densities is p(target | x) / p(source | x) · N / M.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.transfer.domains.checks import check_vectors


def discriminator_weights(source: Tensor, target: Tensor, strength: float = 0.01, folds: int = 5) -> Tensor:
    """Weights (N,) float64 of source (N, D), by the items of target (M, D), each from a fold that did not see it.

    `strength` is the inverse of the ridge penalty on z-scored features.
    """
    source, target = check_vectors(source, target)
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    domain = torch.cat([torch.zeros(len(source)), torch.ones(len(target))]).long().numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    cut = StratifiedKFold(min(folds, len(source), len(target)), shuffle=True, random_state=0)
    items = torch.cat([source, target]).double().numpy()
    chances = cross_val_predict(classifier, items, domain, cv=cut, method="predict_proba")
    of_target = torch.from_numpy(chances[: len(source), 1]).clamp(max=1 - 1e-12)
    return of_target / (1 - of_target) * (len(source) / len(target))
