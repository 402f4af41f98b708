"""A linear head in closed form: items may weigh differently, and the weights may be pulled to those of another head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fewshot.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class LinearHead:
    """weight (ways, D) and bias (ways,), float64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Scores (N, ways) of features (N, D)."""
        return features.double() @ self.weight.T + self.bias

    def predict(self, features: Tensor) -> Tensor:
        """The class (N,) of the highest score."""
        return self(features).argmax(1)


def fit_head(
    features: Tensor,
    labels: Tensor,
    ways: int,
    penalty: float = 1.0,
    weights: Tensor | None = None,
    towards: LinearHead | None = None,
) -> LinearHead:
    """Minimise sum w_i |W x_i + b - onehot(y_i)|² + penalty |W - W0|².

    features (N, D), labels (N,) in [0, ways), weights (N,), not negative and 1 each without them. W0 is the weight of
    `towards`, which makes it L2-SP (Li et al. 2018, Explicit inductive bias for transfer learning, eq. 2) with its
    optimum in closed form; without it W0 is 0, and it is ridge regression. The bias is free. Raises `InvalidInput` for
    shapes that do not fit, values that are not finite, a penalty that is not above 0, or weights that are all 0.
    """
    features, labels, weights = check_items(features, labels, ways, weights)
    if not penalty > 0:
        raise InvalidInput(f"penalty must be above 0, found {penalty}")
    pull = features.new_zeros(ways, features.shape[1]) if towards is None else towards.weight.to(features)
    if pull.shape != (ways, features.shape[1]):
        raise InvalidInput(
            f"the head to pull towards must have a weight of shape {(ways, features.shape[1])}, found "
            f"{tuple(pull.shape)}; give one over the same features and classes"
        )
    rest = one_hot(labels, ways).double() - features @ pull.T  # what W0 leaves to explain
    share = (weights / weights.sum())[:, None]
    centre, level = (share * features).sum(0), (share * rest).sum(0)
    root = weights.sqrt()[:, None]
    change = _ridge(root * (features - centre), root * (rest - level), penalty)
    return LinearHead(pull + change, level - change @ centre)


def check_items(
    features: Tensor, labels: Tensor, ways: int, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in float64 and int64, with weights of 1 where there are none; raises `InvalidInput` as `fit_head`."""
    features, labels = torch.as_tensor(features).double(), torch.as_tensor(labels)
    if features.ndim != 2 or len(features) == 0 or labels.shape != features.shape[:1] or labels.is_floating_point():
        raise InvalidInput(
            f"a head needs features (items, dim) and an integer label for each, found {tuple(features.shape)} and "
            f"{tuple(labels.shape)}"
        )
    if not bool(features.isfinite().all()):
        raise InvalidInput("features must be finite, found NaN or infinity; leave these items out or embed again")
    if int(labels.min()) < 0 or int(labels.max()) >= ways:
        raise InvalidInput(f"labels must lie in [0, {ways}), found {int(labels.min())} to {int(labels.max())}")
    weights = features.new_ones(len(features)) if weights is None else torch.as_tensor(weights).double()
    if weights.shape != labels.shape or not bool((weights >= 0).all()) or not float(weights.sum()) > 0:
        raise InvalidInput("weights must be one number an item, not negative, and not all of them 0")
    return features, labels.long(), weights


def _ridge(features: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The weight (ways, D) that minimises |features Wᵀ - targets|² + penalty |W|², by the smaller Gram matrix."""
    if len(features) < features.shape[1]:
        gram = features @ features.T
        gram.diagonal().add_(penalty)
        return torch.linalg.solve(gram, targets).T @ features
    gram = features.T @ features
    gram.diagonal().add_(penalty)
    return torch.linalg.solve(gram, features.T @ targets).T
