"""The classifiers that adaptation methods share: learned from (weighted) source items, asked about the target."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import InvalidInput, UnknownName

CLASSIFIERS = ("1-nn", "logistic", "svm")


def predict(classifier: str, source: Tensor, labels: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Labels (M,) of target (M, D) by a classifier of source (N, D), labels (N,), weights (N,).

    "1-nn" takes the label of the nearest source item, the first of equals, and no weights.
    Raises `UnknownName`, and `InvalidInput` for weights that leave one class only.
    """
    if classifier not in CLASSIFIERS:
        raise UnknownName("classifier", classifier, CLASSIFIERS)
    if classifier == "1-nn":
        if weights is not None:
            raise InvalidInput("1-nn takes no weights of items; use logistic or svm")
        return nearest_label(source, labels, target)
    return torch.from_numpy(fit(classifier, source, labels, weights).predict(target.double().numpy()))


def fit(classifier: str, source: Tensor, labels: Tensor, weights: Tensor | None = None) -> Any:
    """A scikit-learn "logistic" or "svm" classifier of source (N, D); weights (N,) are scaled to mean 1.

    Features are centred and divided by one number, their root mean variance: scaled each by its own, one that hardly
    varies in the source, such as a pixel at the border, would drown all others in a target where it does.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    scaler = StandardScaler().fit(source.double().numpy())
    scaler.scale_ = np.full(source.shape[1], scaler.var_.mean() ** 0.5)
    items = scaler.transform(source.double().numpy())
    kinds = {"logistic": LogisticRegression(C=0.1, max_iter=1000), "svm": LinearSVC(C=0.01, random_state=0)}
    scaled = None
    if weights is not None:
        used = weights > 0
        if len(labels[used].unique()) < 2:
            raise InvalidInput(
                f"the weights leave {int(used.sum())} source items of fewer than two classes; weigh less"
            )
        scaled = (weights / weights.mean()).double().numpy()
    with warnings.catch_warnings():
        # one item a class is what few shots are
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        return make_pipeline(scaler, kinds[classifier].fit(items, labels.numpy(), sample_weight=scaled))


def nearest_label(source: Tensor, labels: Tensor, target: Tensor, block: int = 2048) -> Tensor:
    """The label of the nearest source item of each target item, by Euclidean distance."""
    squares = source.square().sum(1)
    found = [(squares - 2 * items @ source.mT).argmin(1) for items in target.split(block)]
    return labels[torch.cat(found)]
