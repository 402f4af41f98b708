"""Choosing the settings of a learner: not at all, on few or on many validation items, or by averaging over all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.head import Head
from fewshot.learners.learner import Learner
from fewshot.learners.words import Words

Tuning = Literal["none", "few", "full", "ensemble"]


def check_tuning(tuning: str, learner: Learner, validation: Tensor | None) -> None:
    """Raise `InvalidInput` for an unknown mode, a learner without a grid, or a mode that lacks its validation items."""
    if tuning not in get_args(Tuning):
        raise InvalidInput(f"tuning must be one of {', '.join(get_args(Tuning))}, found {tuning!r}")
    if tuning == "none":
        return
    if not learner.grid:
        raise InvalidInput(f"{learner.name} has no settings to tune; evaluate it with tuning='none'")
    if tuning != "ensemble" and validation is None:
        raise InvalidInput(
            f"tuning={tuning!r} chooses settings on validation items, and the episodes have none; draw them with "
            "SplitSampler(..., validation=...)"
        )


def candidates(learner: Learner) -> list[Learner]:
    """The learner with every combination of the settings in its `grid`; all other settings stay."""
    names = list(learner.grid)
    return [replace(learner, **dict(zip(names, values, strict=True))) for values in product(*learner.grid.values())]


def fit_tuned(
    tuning: Tuning,
    learner: Learner,
    fit: Callable[[Learner], Head],
    validation: Tensor | None = None,
    labels: Tensor | None = None,
) -> TunedHead:
    """Fit every candidate, and choose for each task the one that classifies its validation items best.

    fit makes a head of T tasks. validation (T, V, D), labels (T, V) with -1 for padding. Among equal accuracies the
    lower cross-entropy decides, then the order of the grid. With "ensemble" all candidates vote and nothing is chosen.
    """
    tried = candidates(learner)
    heads = [fit(candidate) for candidate in tried]
    if tuning == "ensemble":
        return TunedHead(heads, tried, None)
    assert validation is not None
    assert labels is not None
    scores = torch.stack([_scores(head(validation, labels >= 0), labels) for head in heads])  # (settings, T, 2)
    accuracy, loss = scores.unbind(2)
    best = torch.where(accuracy == accuracy.amax(0), loss, torch.inf).argmin(0)
    return TunedHead(heads, tried, best)


class TunedHead(nn.Module):
    """Heads of one learner with different settings: for each task the chosen one answers, or all answer together.

    `chosen` (T,) is the candidate of each task, or None where the probabilities of all are averaged.
    """

    def __init__(self, heads: Sequence[Head], tried: Sequence[Learner], chosen: Tensor | None) -> None:
        super().__init__()
        self.heads, self.tried = nn.ModuleList(heads), tried
        self.chosen: Tensor | None
        self.register_buffer("chosen", chosen)

    def forward(self, query: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (T, Q, W) of query (T, Q, D)."""
        if self.chosen is None:
            together = None
            for head in self.heads:
                found = head(query, mask).log_softmax(2)
                together = found if together is None else torch.logaddexp(together, found)
            assert together is not None
            return together
        logits = None
        for row in self.chosen.unique().tolist():
            found = self.heads[row](query, mask)
            mine = (self.chosen == row)[:, None, None]
            logits = found if logits is None else torch.where(mine, found, logits)
        assert logits is not None
        return logits

    def for_words(self, words: Words, ways: int | Tensor | None = None) -> TunedHead:
        """The head that asks for the classes of `words`; see `Head.for_words`."""
        heads = [cast("Head", head).for_words(words, ways) for head in self.heads]
        return TunedHead(heads, self.tried, self.chosen)

    def settings(self) -> list[dict[str, Any]]:
        """What was chosen for each task: the settings in the grid and their values."""
        rows = [] if self.chosen is None else self.chosen.tolist()
        return [{name: getattr(self.tried[row], name) for name in self.tried[row].grid} for row in rows]


def _scores(logits: Tensor, labels: Tensor) -> Tensor:
    """Accuracy and cross-entropy (T, 2) of logits (T, V, W)."""
    real = labels >= 0
    own = labels.clamp(min=0)[..., None]
    right = (logits.argmax(2) == labels) & real
    loss = -logits.log_softmax(2).gather(2, own)[..., 0].masked_fill(~real, 0)
    count = real.sum(1)
    return torch.stack([right.sum(1) / count, loss.sum(1) / count], 1)
