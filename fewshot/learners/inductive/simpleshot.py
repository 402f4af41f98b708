"""SimpleShot: nearest class mean after centring and normalising the features (Wang et al. 2019, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fewshot.learners.distances import squared_distance, squared_distance_of_unit
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.prototypes import class_means
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support


@register_learner("simpleshot", paper="Wang et al. 2019, SimpleShot, arXiv:1911.04623")
@dataclass(frozen=True)
class SimpleShot(Learner):
    """Nearest class mean of features that are centred by the base mean and scaled to length 1.

    transform: CL2N centres and scales, L2N only scales, UN leaves the features as they are; the last two need no base
    mean. The class means are not scaled again. easyfsl centres only when told to.
    """

    transform: Literal["UN", "L2N", "CL2N"] = "CL2N"

    @property
    def needs_base_mean(self) -> bool:  # type: ignore[override]
        """Only CL2N does."""
        return self.transform == "CL2N"

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The means (T, ways, D) of the transformed support, and the centre (D,)."""
        centre = torch.zeros_like(support.features[0, 0])
        if support.base is not None and self.transform == "CL2N":
            centre = support.base.mean
        features = self.transformed(support.features, centre)
        return {"prototypes": class_means(features, support.labels, support.ways), "centre": centre}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Minus the squared distance of each transformed query to each mean."""
        if self.transform == "UN":
            return -squared_distance(query, state["prototypes"])
        return -squared_distance_of_unit(query, state["prototypes"], -state["centre"][None, None])

    def transformed(self, features: Tensor, centre: Tensor) -> Tensor:
        """Features (..., D) as `transform` says, centred by centre (D,)."""
        if self.transform == "CL2N":
            features = features - centre
        return features if self.transform == "UN" else l2_normalize(features)
