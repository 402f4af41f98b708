"""Precision, recall and F1 of each class of the data set, over all tasks that drew it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics.accuracy import check_predictions


@dataclass(frozen=True)
class ClassScores:
    """Float64 tensors (C,), one entry for each class of the data set; queries (C,) counts what they rest on.

    Precision is NaN for a class that was never predicted, recall for one that was never a query, F1 for one that was
    neither.
    """

    precision: Tensor
    recall: Tensor
    f1: Tensor
    queries: Tensor


class ClassCounts:
    """Counts for each of `classes` classes of the data set, added up task by task."""

    def __init__(self, classes: int) -> None:
        self.right = torch.zeros(classes, dtype=torch.int64)
        self.predicted = torch.zeros_like(self.right)
        self.queries = torch.zeros_like(self.right)

    def update(self, predictions: Tensor, labels: Tensor, classes: Tensor) -> None:
        """Add predictions and labels (T, Q) within the task, -1 pads the labels; classes (T, W) as in `Episodes`."""
        check_predictions(predictions, labels)
        counted = labels >= 0
        drawn = int(classes.max()) if classes.numel() else 0
        if len(classes) != len(labels) or drawn >= len(self.right):
            raise InvalidInput(
                f"classes must be the {len(self.right)} of the data set for {len(labels)} tasks, "
                f"found shape {tuple(classes.shape)} with labels up to {drawn}"
            )
        for name, values in (("predictions", predictions), ("labels", labels)):
            if bool(((values >= classes.shape[1]) | (values < 0))[counted].any()):
                raise InvalidInput(f"{name} must lie in [0, {classes.shape[1]} ways), found others")
        actual = classes.gather(1, labels.clamp(min=0))[counted].cpu()
        guessed = classes.gather(1, predictions.clamp(min=0))[counted].cpu()
        for name, values in (("predictions", guessed), ("labels", actual)):
            if bool((values < 0).any()):
                raise InvalidInput(f"{name} hold a class that its task did not draw (padding of `classes`)")
        self.right += actual[actual == guessed].bincount(minlength=len(self.right))
        self.predicted += guessed.bincount(minlength=len(self.right))
        self.queries += actual.bincount(minlength=len(self.right))

    def scores(self) -> ClassScores:
        """Precision, recall and F1 of what was counted so far."""
        right = self.right.double()
        return ClassScores(
            precision=right / self.predicted,
            recall=right / self.queries,
            f1=2 * right / (self.predicted + self.queries),
            queries=self.queries.clone(),
        )


def per_class_scores(predictions: Tensor, labels: Tensor, classes: Tensor, count: int | None = None) -> ClassScores:
    """The scores of one batch of tasks, see `ClassCounts`; `count` classes, by default up to the largest drawn."""
    counts = ClassCounts(int(classes.max()) + 1 if count is None else count)
    counts.update(predictions, labels, classes)
    return counts.scores()
