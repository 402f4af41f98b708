"""Logistic regression by scikit-learn, as tensors."""

import numpy as np
import torch
from torch import Tensor


def fit_logistic(features: Tensor, targets: Tensor, C: float, steps: int = 1000) -> dict[str, Tensor]:
    """Weight (D, W) and bias (W,) of the classes in targets (N,), W of them, or 1 where there are two."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C, max_iter=steps).fit(features.cpu().numpy(), targets.cpu().numpy())
    weight, bias = (
        torch.from_numpy(np.ascontiguousarray(part)).to(features) for part in (model.coef_, model.intercept_)
    )
    return {"weight": weight.mT.contiguous(), "bias": bias}


def fit_class_probabilities(features: Tensor, labels: Tensor, C: float) -> dict[str, Tensor]:
    """Logistic regression to the seen classes, with two columns also where there are only two."""
    state = fit_logistic(features, labels, C)
    if state["weight"].shape[1] == 1:
        return {name: torch.cat([torch.zeros_like(part), part], -1) for name, part in state.items()}
    return state


def class_log_probabilities(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The log probability (N, C) of each seen class."""
    return (features @ weight + bias).log_softmax(1)
