"""What a classifier of one's own learns from, as features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fewshot.learners import BaseStatistics, Head, Learner, Words


@dataclass(frozen=True)
class Examples:
    """Features (N, D) with labels (N,) in [0, ways), and what else is known.

    base: statistics of the backbone's training classes; words: text vectors of the classes; unlabelled (U, D): further
    features of the classes, without labels.
    """

    features: Tensor
    labels: Tensor
    ways: int
    base: BaseStatistics | None = None
    words: Words | None = None
    unlabelled: Tensor | None = None

    @property
    def counts(self) -> Tensor:
        """The number of examples (ways,) of each class."""
        return self.labels.bincount(minlength=self.ways)

    def select(self, rows: Tensor) -> Examples:
        """Those of the rows given, of the same classes."""
        return replace(self, features=self.features[rows], labels=self.labels[rows])

    def fit(self, learner: Learner) -> Head:
        """The learner's head for these examples, one task."""
        return self.fit_tasks(learner, torch.arange(len(self.labels), device=self.labels.device)[None])

    def fit_tasks(self, learner: Learner, rows: Tensor) -> Head:
        """The learner's head for tasks of the examples in `rows` (T, S), -1 pads.

        A learner that centres by a mean of base classes which is not known centres by the mean of the examples, for
        which T must be 1.
        """
        features, labels = self.features[rows], self.labels[rows].masked_fill(rows < 0, -1)
        base, extra = self.base, self.unlabelled
        if base is None and learner.needs_base_mean:
            base = BaseStatistics.from_features(features[0][rows[0] >= 0])
        if extra is not None:
            extra = extra.expand(len(rows), *extra.shape)
        return learner.fit(features, labels, self.ways, base, unlabelled=extra, words=self.words)
