"""A linear probe in closed form: ridge regression on one-hot labels, its strength chosen by leaving one out.

With features side by side the Gram matrix of a blend is the sum of those of its layers, so that a blend of any layers
is probed without ever being built (Alain and Bengio 2017, Understanding intermediate layers using linear classifier
probes, arXiv:1610.01644, for the question; Rifkin and Lippert 2007, Notes on regularized least squares, for the rest).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from fewshot.errors import InvalidInput

STRENGTHS = tuple(10.0**power for power in range(-4, 3))  # of the mean diagonal of the Gram matrix


def unit_gram(features: Tensor) -> Tensor:
    """The cosines (N, N), float64, between rows of (N, D): inner products of features of unit length.

    Raises `InvalidInput` for features that are not finite or are the same for all items.
    """
    features = features.double()
    if not bool(features.isfinite().all()):
        raise InvalidInput("features must be finite, found NaN or infinity")
    if len(features) > 1 and bool((features == features[:1]).all()):
        raise InvalidInput("all items have the same features, so that nothing can be told apart; take another layer")
    features = normalize(features, dim=1)
    return features @ features.T


def probe_predictions(gram: Tensor, labels: Tensor, train: Tensor, test: Tensor, classes: int) -> Tensor:
    """The classes (Q,) that a ridge classifier learned from the items `train` gives to the items `test`.

    gram (N, N) inner products, labels (N,) in [0, classes), train (S,) and test (Q,) item numbers. Features are centred
    by the training items. The penalty is the one of `STRENGTHS` whose squared error on training items left out one at
    a time is the least.
    """
    targets = one_hot(labels[train], classes).to(gram)
    inner, cross = gram[train][:, train], gram[test][:, train]
    mean = inner.mean(0)
    centred = inner - mean - mean[:, None] + mean.mean()
    cross = cross - cross.mean(1, keepdim=True) - mean + mean.mean()
    middle = targets.mean(0)
    dual = _dual_coefficients(centred, targets - middle)
    return (cross @ dual + middle).argmax(1)


def _dual_coefficients(gram: Tensor, targets: Tensor) -> Tensor:
    """(S, C): (K + lambda I)^-1 Y of centred K and Y, for the lambda of least leave-one-out error.

    Item i left out is missed by r_i / (1 - h_i), of its residual r = lambda (K + lambda I)^-1 Y and its leverage
    h_i = 1/S + (K (K + lambda I)^-1)_ii; all of them come from one eigendecomposition.
    """
    values, vectors = torch.linalg.eigh(gram)
    values, rotated = values.clamp_min(0), vectors.T @ targets
    scale, tiny = values.mean(), torch.finfo(gram.dtype).tiny
    best, least = torch.zeros_like(targets), torch.inf
    for strength in STRENGTHS:
        penalty = strength * scale + tiny
        shrunk = 1 / (values + penalty)
        dual = vectors @ (shrunk[:, None] * rotated)
        kept = (penalty * (vectors.square() @ shrunk) - 1 / len(gram)).clamp_min(tiny)
        error = float((penalty * dual / kept[:, None]).square().mean())
        if error < least:
            best, least = dual, error
    return best


def probe_accuracy(gram: Tensor, labels: Tensor, train: Tensor, test: Tensor, classes: int) -> float:
    """The share of the items `test` that the probe learned from `train` gets right."""
    right = probe_predictions(gram, labels, train, test, classes) == labels[test]
    return float(right.double().mean())
