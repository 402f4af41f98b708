"""A batch of tasks as a transductive method sees it: labelled and unlabelled features side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fewshot.learners.probabilities import class_softmax
from fewshot.learners.prototypes import member_means, one_hot


@dataclass(frozen=True)
class Tasks:
    """T tasks, with zeros for padding.

    support (T, S, D) and members (T, S, W), its labels as ones and zeros; query (T, Q, D), the queries and after them
    the unlabelled items, and mask (T, Q) bool, false for padding; present (T, W) bool, the classes each task has.
    """

    support: Tensor
    members: Tensor
    query: Tensor
    mask: Tensor
    present: Tensor

    @classmethod
    def of(cls, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tasks:
        """The tasks of a head's state (`TransductiveLearner.learn`) and its queries (T, Q, D) with mask (T, Q)."""
        return cls(
            support=state["support"],
            members=one_hot(state["labels"], state["present"].shape[1], state["support"]),
            query=torch.cat([query, state["unlabelled"]], 1) if state["unlabelled"].shape[1] else query,
            mask=torch.cat([mask, state["unlabelled_mask"]], 1),
            present=state["present"],
        )

    def __getitem__(self, tasks: Tensor | slice) -> Tasks:
        """These tasks only, by number, slice or mask."""
        return Tasks(**{name: part[tasks] for name, part in vars(self).items()})

    @property
    def ways(self) -> int:
        """Classes of the widest task."""
        return self.present.shape[1]

    @property
    def real_support(self) -> Tensor:
        """1 for support items and 0 for padding (T, S, 1)."""
        return self.members.sum(2, keepdim=True)

    @property
    def real_query(self) -> Tensor:
        """1 for queries and unlabelled items and 0 for padding (T, Q, 1)."""
        return self.mask[..., None].to(self.query.dtype)

    @property
    def real(self) -> Tensor:
        """1 for the items of support and queries together and 0 for padding (T, S + Q, 1)."""
        return torch.cat([self.real_support, self.real_query], 1)

    @property
    def counts(self) -> Tensor:
        """Support items of each class (T, W)."""
        return self.members.sum(1)

    @property
    def query_count(self) -> Tensor:
        """Queries and unlabelled items of each task (T, 1)."""
        return self.mask.sum(1, keepdim=True).to(self.query.dtype)

    @property
    def equal_shares(self) -> Tensor:
        """One over the number of classes of the task, 0 for classes it lacks (T, W)."""
        present = self.present.to(self.query.dtype)
        return present / present.sum(1, keepdim=True)

    def with_features(self, support: Tensor, query: Tensor) -> Tasks:
        """The same tasks with other features (T, S, E) and (T, Q, E); padding becomes zero again."""
        return replace(self, support=_cleared(support, self.real_support), query=_cleared(query, self.real_query))

    def mapped(self, transform: Callable[[Tensor], Tensor]) -> Tasks:
        """`transform` applied to the support and to the queries."""
        return self.with_features(transform(self.support), transform(self.query))

    def mapped_together(self, transform: Callable[[Tensor], Tensor]) -> Tasks:
        """`transform` applied to support and queries as one set (T, S + Q, D)."""
        together = transform(torch.cat([self.support, self.query], 1))
        samples = self.support.shape[1]
        return self.with_features(together[:, :samples], together[:, samples:])

    @property
    def support_centre(self) -> Tensor:
        """The mean of the whole support (T, 1, D)."""
        return self.support.sum(1, keepdim=True) / self.real_support.sum(1, keepdim=True)

    @property
    def query_centre(self) -> Tensor:
        """The mean of all queries and unlabelled items (T, 1, D)."""
        return self.query.sum(1, keepdim=True) / self.query_count[..., None].clamp(min=1)

    def support_means(self) -> Tensor:
        """The mean (T, W, D) of the support of each class."""
        return member_means(self.support, self.members)

    def weighted_means(self, assignment: Tensor) -> Tensor:
        """The mean (T, W, D) of each class: its support, and the queries by their assignment (T, Q, W).

        A class without any weight gets zeros.
        """
        mass = (self.counts + assignment.sum(1))[..., None]
        sums = self.members.mT @ self.support + assignment.mT @ self.query
        return sums / mass.clamp(min=1e-12)

    def softmax(self, logits: Tensor) -> Tensor:
        """Probabilities (T, Q, W) over the classes each task has; rows of zeros for padding."""
        return class_softmax(logits.masked_fill(~self.present[:, None], -torch.inf)) * self.real_query


def _cleared(features: Tensor, real: Tensor) -> Tensor:
    """Features (T, N, D) with zeros where real (T, N, 1) is zero; without a copy where no item is padding."""
    return features if real.all() else features * real
