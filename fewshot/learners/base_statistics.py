"""What a learner may know of the backbone's training classes: the mean of their features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable


@dataclass(frozen=True)
class BaseStatistics:
    """Statistics of base classes: `mean` (D,), and the fingerprint of the `backbone` that made the features."""

    mean: Tensor
    backbone: str = ""

    @classmethod
    def from_features(cls, features: Tensor, backbone: str = "") -> BaseStatistics:
        """The statistics of features (N, D). Raises `InvalidInput` when they are of another shape or not finite."""
        if features.ndim != 2 or not features.is_floating_point() or not len(features):
            raise InvalidInput(f"base features must be floats (items, dim), found shape {tuple(features.shape)}")
        mean = features.double().mean(0)
        if not mean.isfinite().all():
            raise InvalidInput("the base features hold NaN or infinite values")
        return cls(mean.float(), backbone)

    @classmethod
    def from_table(cls, table: EmbeddingTable) -> BaseStatistics:
        """The statistics of a table of base classes: classes that no task is drawn from."""
        return cls.from_features(table.features, table.backbone)

    def fitted_to(self, support: Tensor) -> BaseStatistics:
        """On the device and of the type of support (..., D). Raises `InvalidInput` for another dimension."""
        if self.mean.shape != support.shape[-1:]:
            raise InvalidInput(
                f"the base mean has {self.mean.numel()} dimensions and the support {support.shape[-1]}; "
                "make both with the same backbone and layers"
            )
        return replace(self, mean=self.mean.to(support))
