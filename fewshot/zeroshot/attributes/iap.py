"""IAP, indirect attribute prediction (Lampert et al. 2014, eq. 4): attributes by way of the seen classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.zeroshot.attributes.attribute_posterior import Prior, attribute_prior, class_scores
from fewshot.zeroshot.attributes.method import AttributeMethod, Scaling
from fewshot.zeroshot.attributes.probabilities import class_log_probabilities, fit_class_probabilities
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "iap", paper="Lampert et al. 2014, Attribute-based classification for zero-shot visual object categorization, PAMI"
)
@dataclass(frozen=True)
class IAP(AttributeMethod):
    """Predicts the seen class of an item; an attribute is as probable as the seen classes that have it, together.

    C: scikit-learn's weight of the data in logistic regression, which gives the probabilities.
    prior: of an attribute, `empirical`, its share among the seen classes, or `half`.
    Attributes are 0 or 1; those that all seen classes share are left out.
    """

    binary: ClassVar[bool] = True
    attributes: Scaling = "raw"
    C: float = 1.0
    prior: Prior = "empirical"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "C")

    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Weight (D, C) and bias (C,) of the seen classes, their attributes (C, A), and prior (A,)."""
        found = fit_class_probabilities(features, labels, self.C)
        return {**found, "seen": attributes, "prior": attribute_prior(attributes, self.prior)}

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """Log posterior of each class, up to a constant of the item."""
        classes = class_log_probabilities(features, state["weight"], state["bias"])
        present, absent = (log_share(classes, having) for having in (state["seen"] == 1, state["seen"] == 0))
        return class_scores(present, absent, state["prior"], attributes)


def log_share(classes: Tensor, having: Tensor) -> Tensor:
    """The log probability (N, A) of an attribute, from those of classes (N, C) and which have it, (C, A) bool."""
    return torch.stack([classes[:, column].logsumexp(1) for column in having.mT], 1)
