"""SAE, semantic autoencoder (Kodirov et al. 2017, eq. 6): features to attributes, and back by the transpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.zeroshot.attributes.method import AttributeMethod
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "sae", paper="Kodirov et al. 2017, Semantic autoencoder for zero-shot learning, arXiv:1704.08345"
)
@dataclass(frozen=True)
class SAE(AttributeMethod):
    """A linear autoencoder whose code is the attributes; classes are compared by cosine.

    encoding: lambda, the weight of the encoding against the decoding. The paper picks it by cross-validation; 1 weighs
    both alike.
    space: where an item meets the classes: in the space of `features`, decoded attributes beside features (the variant
    that Xian et al. 2019 describe), or of `attributes`.
    """

    encoding: float = 1.0
    space: Literal["features", "attributes"] = "features"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "encoding")

    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """The encoder W (A, D), solved in float64."""
        encoder = semantic_autoencoder(features.double(), attributes.double()[labels], self.encoding)
        return {"encoder": encoder.to(features)}

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """Cosines (N, K) between items and classes, in the space of `features` or of `attributes`."""
        if self.space == "features":
            attributes = attributes @ state["encoder"]
        else:
            features = features @ state["encoder"].mT
        return l2_normalize(features) @ l2_normalize(attributes).mT


def semantic_autoencoder(features: Tensor, codes: Tensor, encoding: float) -> Tensor:
    """The W (A, D) that minimises |X - S W|² + lambda |X W' - S|², of features X (N, D) and codes S (N, A).

    Its gradient is zero where S'S W + lambda W X'X = (1 + lambda) S'X, a Sylvester equation. Where attributes are fewer
    in rank than in number and so are the features, the solution of least norm is taken.
    """
    code_values, code_axes = torch.linalg.eigh(codes.mT @ codes)
    item_values, item_axes = torch.linalg.eigh(encoding * features.mT @ features)
    sums = code_values.clamp(min=0)[:, None] + item_values.clamp(min=0)
    right = (1 + encoding) * (code_axes.mT @ (codes.mT @ features) @ item_axes)
    free = sums <= sums.max() * max(sums.shape) * torch.finfo(sums.dtype).eps
    return code_axes @ torch.where(free, 0, right / sums.masked_fill(free, 1)) @ item_axes.mT
