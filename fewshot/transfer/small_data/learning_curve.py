"""Accuracy by shots: the same draws at every number, so that a step of the curve is a paired comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fewshot.episodes import Episodes, EpisodeSampler
from fewshot.errors import InvalidInput
from fewshot.learners import Learner, evaluate
from fewshot.metrics import Interval, accuracy_interval

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracy (draws, shots) in [0, 1] of one learner; in a row the larger supports contain the smaller ones.

    The draws come from one pool of images, so their interval speaks of the choice of images, not of other data sets.
    """

    shots: tuple[int, ...]
    accuracy: Tensor
    ways: int
    learner: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_shots(self.shots)
        if self.accuracy.ndim != 2 or self.accuracy.shape[1] != len(self.shots) or len(self.accuracy) == 0:
            raise InvalidInput(
                f"accuracy must be (draws, {len(self.shots)}), a column for each number of shots, found "
                f"{tuple(self.accuracy.shape)}"
            )
        if not bool(((self.accuracy >= 0) & (self.accuracy <= 1)).all()):
            raise InvalidInput("accuracy must lie between 0 and 1 everywhere; leave out draws that failed")

    @property
    def intervals(self) -> list[Interval]:
        """The mean over draws at each number of shots with its 95 % interval."""
        return [accuracy_interval(column) for column in self.accuracy.T]

    def up_to(self, shots: int) -> LearningCurve:
        """The part of the curve with at most so many shots, to see what could have been foretold from it."""
        kept = [place for place, number in enumerate(self.shots) if number <= shots]
        if not kept:
            raise InvalidInput(f"the curve starts at {self.shots[0]} shots, so nothing of it is up to {shots}")
        return replace(self, shots=tuple(self.shots[place] for place in kept), accuracy=self.accuracy[:, kept])

    def to_json(self) -> dict[str, Any]:
        """All of it, with means and intervals."""
        points = [
            {"shots": shots, "accuracy": found.mean, "ci95": None if math.isnan(found.half_width) else found.half_width}
            for shots, found in zip(self.shots, self.intervals, strict=True)
        ]
        return {
            "points": points,
            "draws": len(self.accuracy),
            "ways": self.ways,
            "learner": self.learner,
            "settings": self.settings,
        }


def learning_curve(
    table: EmbeddingTable,
    learner: Learner,
    shots: Sequence[int] = (1, 2, 4, 8),
    draws: int = 20,
    queries: int = 15,
    ways: int | str = "all",
    seed: int = 0,
) -> LearningCurve:
    """The accuracy of `learner` on `draws` draws from `table`, at each number of `shots`.

    A draw is `ways` classes, the same `queries` images a class at every number of shots, and a support whose first n
    images a class are the support of n shots. Raises `InvalidInput` for shots that are not in rising order, and
    `SamplingError` where classes are too small.
    """
    check_shots(shots)
    sampler = EpisodeSampler(
        table.labels, ways=ways, shots=max(shots), queries=queries, seed=seed, class_names=table.class_names
    )
    episodes = sampler.sample(draws)
    found = [evaluate(learner, table, first_shots(episodes, number), top_k=()) for number in shots]
    return LearningCurve(
        tuple(shots),
        torch.stack([each.per_episode for each in found], dim=1),
        episodes.ways,
        learner.facts(),
        {"queries": queries, "seed": seed, "table": table.fingerprint},
    )


def first_shots(episodes: Episodes, shots: int) -> Episodes:
    """The same episodes with the first `shots` support items of each class, or all of those that have fewer."""
    labels = episodes.support_labels
    before = torch.stack([(labels == way).cumsum(1) for way in range(episodes.ways)], dim=2)
    place = before.gather(2, labels.clamp(min=0)[..., None]).squeeze(2)
    kept = (labels >= 0) & (place <= shots)
    order = (~kept).int().argsort(dim=1, stable=True)  # those that stay come first
    width = int(kept.sum(1).max())
    items = torch.where(kept, episodes.support, -1).gather(1, order)[:, :width]
    return replace(episodes, support=items, support_labels=torch.where(kept, labels, -1).gather(1, order)[:, :width])


def check_shots(shots: Sequence[int]) -> None:
    """Raise `InvalidInput` unless shots are whole numbers from 1, each larger than the last."""
    rising = all(a < b for a, b in pairwise(shots))
    if not shots or shots[0] < 1 or not rising or any(not isinstance(number, int) for number in shots):
        raise InvalidInput(f"shots must be whole numbers from 1 in rising order, such as 1, 2, 4, found {list(shots)}")
