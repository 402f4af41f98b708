"""ESZSL, "an embarrassingly simple approach to zero-shot learning" (Romera-Paredes and Torr 2015, eq. 5)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.zeroshot.attributes.method import AttributeMethod
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "eszsl", paper="Romera-Paredes and Torr 2015, An embarrassingly simple approach to zero-shot learning, ICML"
)
@dataclass(frozen=True)
class ESZSL(AttributeMethod):
    """A bilinear map between features and attributes by least squares, in closed form.

    feature_penalty, attribute_penalty: gamma and lambda of the paper, which picks both from 10^-3 to 10^3 on validation
    classes; 1 is the middle of that grid.
    """

    feature_penalty: float = 1.0
    attribute_penalty: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "feature_penalty", "attribute_penalty")

    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """The map V (D, A), solved in float64."""
        weight = eszsl(features.double(), labels, attributes.double(), self.feature_penalty, self.attribute_penalty)
        return {"weight": weight.to(features)}

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """The bilinear form x' V a, (N, K)."""
        return features @ state["weight"] @ attributes.mT


def eszsl(
    features: Tensor, labels: Tensor, attributes: Tensor, feature_penalty: float, attribute_penalty: float
) -> Tensor:
    """V = (X'X + gamma I)^-1 X'Y S (S'S + lambda I)^-1 of shape (D, A).

    X (N, D) are the features, S (C, A) the attributes, Y (N, C) is 1 for an item's class and -1 for the others; the
    paper writes X and S transposed.
    """
    targets = 2 * torch.nn.functional.one_hot(labels, len(attributes)).to(features) - 1
    left = features.mT @ features
    left.diagonal().add_(feature_penalty)
    right = attributes.mT @ attributes
    right.diagonal().add_(attribute_penalty)
    half = torch.linalg.solve(left, features.mT @ targets @ attributes)
    return torch.linalg.solve(right, half.mT).mT  # `right` is symmetric
