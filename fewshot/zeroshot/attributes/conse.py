"""ConSE, convex combination of semantic embeddings (Norouzi et al. 2014, eq. 4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.zeroshot.attributes.method import AttributeMethod
from fewshot.zeroshot.attributes.probabilities import class_log_probabilities, fit_class_probabilities
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "conse",
    paper="Norouzi et al. 2014, Zero-shot learning by convex combination of semantic embeddings, arXiv:1312.5650",
)
@dataclass(frozen=True)
class ConSE(AttributeMethod):
    """Gives an item the mean attributes of its most probable seen classes; classes are compared with it by cosine.

    top: how many seen classes take part (the paper's T, its middle value of 1, 10 and 1000), weighed by probability.
    C: scikit-learn's weight of the data in logistic regression, which gives the probabilities.
    """

    top: int = 10
    C: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "top", "C")

    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Weight (D, C) and bias (C,) of the seen classes, and their attributes (C, A)."""
        return {**fit_class_probabilities(features, labels, self.C), "seen": attributes}

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """The cosine between an item's mean attributes and those of each class."""
        logs = class_log_probabilities(features, state["weight"], state["bias"])
        likely, which = logs.topk(min(self.top, logs.shape[1]), 1)
        mean = (likely.softmax(1)[..., None] * state["seen"][which]).sum(1)
        return l2_normalize(mean) @ l2_normalize(attributes).mT
