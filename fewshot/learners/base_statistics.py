"""What a learner may know of the backbone's training classes: their features, and the statistics of these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable


@dataclass(frozen=True, eq=False)
class BaseStatistics:
    """Statistics of base classes.

    mean (D,) of all their features; backbone, the fingerprint of what made them; features (N, D) in the order of their
    labels (N,) in [0, classes), where the classes are known one by one.
    """

    mean: Tensor
    backbone: str = ""
    features: Tensor | None = None
    labels: Tensor | None = None

    @classmethod
    def from_features(cls, features: Tensor, labels: Tensor | None = None, backbone: str = "") -> BaseStatistics:
        """The statistics of features (N, D), with labels (N,) those of each class as well.

        Raises `InvalidInput` when they are of another shape or not finite.
        """
        if features.ndim != 2 or not features.is_floating_point() or not len(features):
            raise InvalidInput(f"base features must be floats (items, dim), found shape {tuple(features.shape)}")
        mean = features.mean(0, dtype=torch.float64)
        if not mean.isfinite().all():
            raise InvalidInput("the base features hold NaN or infinite values")
        if labels is None:
            return cls(mean.float(), backbone)
        if labels.shape != (len(features),) or labels.is_floating_point():
            raise InvalidInput(f"base labels must be integers of shape ({len(features)},), found {tuple(labels.shape)}")
        labels = labels.unique(return_inverse=True)[1]
        order = labels.argsort(stable=True)
        return cls(mean.float(), backbone, features[order].float(), labels[order])

    @classmethod
    def from_table(cls, table: EmbeddingTable) -> BaseStatistics:
        """The statistics of a table of base classes: classes that no task is drawn from."""
        return cls.from_features(table.features, table.labels, table.backbone)

    def fitted_to(self, support: Tensor) -> BaseStatistics:
        """On the device and of the type of support (..., D). Raises `InvalidInput` for another dimension."""
        if self.mean.shape != support.shape[-1:]:
            raise InvalidInput(
                f"the base mean has {self.mean.numel()} dimensions and the support {support.shape[-1]}; "
                "make both with the same backbone and layers"
            )
        if self.mean.dtype == support.dtype and self.mean.device == support.device:
            return self  # with the statistics found so far
        return replace(
            self,
            mean=self.mean.to(support),
            features=None if self.features is None else self.features.to(support),
            labels=None if self.labels is None else self.labels.to(support.device),
        )

    @cached_property
    def class_counts(self) -> Tensor:
        """The number of items (C,) of each base class."""
        return self._known(self.labels).bincount()

    @cached_property
    def class_means(self) -> Tensor:
        """The mean (C, D) of each base class."""
        features, labels = self._known(self.features), self._known(self.labels)
        sums = features.new_zeros(len(self.class_counts), features.shape[1]).index_add_(0, labels, features)
        return sums / self.class_counts[:, None]

    @cached_property
    def deviations(self) -> Tensor:
        """Each base feature less the mean of its class (N, D), in the order of the labels."""
        return self._known(self.features) - self.class_means[self._known(self.labels)]

    @cached_property
    def within_covariance(self) -> Tensor:
        """The covariance (D, D) of features around the mean of their class, all classes pooled; divided by N - C."""
        freedom = max(1, len(self.deviations) - len(self.class_means))
        return self.deviations.mT @ self.deviations / freedom

    @staticmethod
    def _known(tensor: Tensor | None) -> Tensor:
        if tensor is None:
            raise InvalidInput("these base statistics hold only a mean; make them with labels to know the classes")
        return tensor
