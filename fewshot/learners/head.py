"""What fitting makes: classifiers for many tasks, as a module that moves and saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_finite_logits, check_query, classes_of, no_transfer
from fewshot.learners.support import Support
from fewshot.learners.words import Words

if TYPE_CHECKING:
    from fewshot.learners.learner import Learner


class Head(nn.Module):
    """Classifiers for T tasks: a learner's settings and the tensors it learned, which move and save as buffers.

    `Head(learner, head.state_dict())` is the same head again.
    """

    present: Tensor  # (T, W) bool: the classes each task has
    like: Tensor  # (0, D): dimension, type and device of the features

    def __init__(self, learner: Learner, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.learner = learner
        for name, tensor in state.items():
            self.register_buffer(name, tensor)

    def forward(self, query: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (T, Q, W) of query (T, Q, D); -inf for the classes that a task of a padded batch lacks.

        mask (T, Q) is false where a query is padding (all are real without it). Queries of other precision are
        converted to the support's. Raises `InvalidInput` for wrong shapes and for queries that are not finite.
        """
        query, mask = check_query(query, mask, self.like, len(self.present))
        logits = self.learner.score(self._state(), query, mask)
        absent = ~self.present[:, None]
        check_finite_logits(logits, absent, mask, query)
        return logits.masked_fill(absent, -torch.inf)

    def for_words(self, words: Words, ways: int | Tensor | None = None) -> Head:
        """The head that asks for the classes of `words`, with what this one learned from the images of others.

        So are prompts, projections and adapters tested on new classes (base-to-new, Zhou et al. 2022, CVPR). words:
        vectors (V, D), or (T, V, D) by task, in the space of those that it learned with, for which the caller answers;
        ways: how many classes a task has, all of them by default, or (T,).
        Raises `InvalidInput` for a learner that learns something of each class, which says nothing of others, and what
        `Learner.fit` raises for ways and words that do not fit.
        """
        if not self.learner.transfers:
            raise InvalidInput(no_transfer(self.learner.name))
        tasks, device = len(self.present), self.present.device
        nothing, none = self.like.expand(tasks, 0, -1), torch.zeros(tasks, 0, dtype=torch.int64, device=device)
        present = classes_of(words.ways if ways is None else ways, tasks, device)
        given = self.learner.check_words(words, nothing, present.shape[1])
        classes = Support(nothing, none, present, nothing, none >= 0, words=given)
        state = self.learner.carry_over(self._state(), classes)
        return Head(self.learner, {**state, "present": present, "like": self.like})

    def _state(self) -> dict[str, Tensor]:
        """What was learned, under all its names: the members of an ensemble may share a tensor."""
        return dict(self.named_buffers(remove_duplicate=False))

    def extra_repr(self) -> str:
        """Shown when a head is printed."""
        tasks, ways = self.present.shape
        return f"{self.learner}, tasks={tasks}, ways={ways}, dim={self.like.shape[1]}"
