"""What a learner learns from: labelled features, unlabelled ones beside them, the base classes, and words."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.prototypes import one_hot
from fewshot.learners.words import Words


@dataclass(frozen=True)
class Support:
    """The labelled items of T tasks, checked, with zeros for padding.

    features (T, S, D), labels (T, S) in [0, ways) or -1 for padding; present (T, ways) bool, the classes each task
    has; unlabelled (T, U, D) further items without labels and their mask (T, U), U = 0 where there are none; base, what
    is known of the backbone's training classes; words, what the names of the classes say, with vectors (T, ways, D).
    """

    features: Tensor
    labels: Tensor
    present: Tensor
    unlabelled: Tensor
    unlabelled_mask: Tensor
    base: BaseStatistics | None = None
    words: Words | None = None

    @property
    def ways(self) -> int:
        """Classes of the widest task."""
        return self.present.shape[1]

    @property
    def members(self) -> Tensor:
        """Labels as ones and zeros (T, S, ways); a row of zeros for padding."""
        return one_hot(self.labels, self.ways, self.features)

    @property
    def real(self) -> Tensor:
        """1 for items and 0 for padding (T, S, 1), of the features' type."""
        return (self.labels >= 0)[..., None].to(self.features.dtype)
