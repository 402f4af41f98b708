"""Images by the probabilities of the training classes, texts by how near they are to the names of these classes.

The image side is that of ConSE (Norouzi et al. 2014, eq. 1); in place of the mean of the class vectors, which lie close
together, a text is a distribution over the classes too: the softmax of its cosines (as in matching networks, Vinyals et
al. 2016, eq. 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.settings import check_positive
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.backbones.bridge.pairs import Pairs


@dataclass(frozen=True)
class Neighbours(Join):
    """Distributions over the classes of the backbone's own classifier, on both sides; nothing is trained.

    weight (C, D) and bias (C,) are the classifier, classes (C, E) the vectors of its class names, of length 1;
    sharpness is the factor of the cosines of a text to them.
    """

    weight: Tensor
    bias: Tensor
    classes: Tensor
    sharpness: float = 40.0

    def image(self, features: Tensor) -> Tensor:
        """The probability of each class (N, C)."""
        return (features @ self.weight.T + self.bias).softmax(1)

    def text(self, vectors: Tensor) -> Tensor:
        """The share of each class in a text (N, C)."""
        return (self.sharpness * normalize(vectors, dim=1) @ self.classes.T).softmax(1)


def fit_neighbours(pairs: Pairs, sharpness: float = 40.0) -> Neighbours:
    """The join of a backbone with a classifier; raises `InvalidInput` for pairs that do not come from one."""
    check_positive("neighbours", sharpness=sharpness)
    if pairs.bias is None or pairs.weight is None:
        raise InvalidInput("neighbours is made from the backbone's classifier and its class names; leave pairs out")
    return Neighbours(pairs.weight, pairs.bias, pairs.vectors, sharpness)
