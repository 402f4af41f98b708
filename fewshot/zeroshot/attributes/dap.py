"""DAP, direct attribute prediction (Lampert et al. 2014, eq. 2): a classifier for every attribute."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from fewshot.learners.checks import check_positive
from fewshot.zeroshot.attributes.attribute_posterior import Prior, attribute_prior, class_scores
from fewshot.zeroshot.attributes.method import AttributeMethod, Scaling
from fewshot.zeroshot.attributes.probabilities import fit_logistic
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "dap", paper="Lampert et al. 2014, Attribute-based classification for zero-shot visual object categorization, PAMI"
)
@dataclass(frozen=True)
class DAP(AttributeMethod):
    """Predicts each attribute of an item by itself, and takes the class whose attributes are the most probable.

    C: scikit-learn's weight of the data in logistic regression, which gives the probabilities.
    prior: of an attribute, `empirical`, its share among the seen classes, or `half`; the paper names both.
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
        """Weight (D, A) and bias (A,) of the attributes, zero for those left out, and prior (A,)."""
        prior = attribute_prior(attributes, self.prior)
        weight, bias = features.new_zeros(features.shape[1], len(prior)), torch.zeros_like(prior)
        for column in ((prior > 0) & (prior < 1)).nonzero().flatten().tolist():
            found = fit_logistic(features, attributes[labels, column].long(), self.C)
            weight[:, column], bias[column] = found["weight"][:, 0], found["bias"][0]
        return {"weight": weight, "bias": bias, "prior": prior}

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """Log posterior of each class, up to a constant of the item."""
        logits = features @ state["weight"] + state["bias"]
        return class_scores(logsigmoid(logits), logsigmoid(-logits), state["prior"], attributes)
