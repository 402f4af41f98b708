"""Accuracy of each task."""

from torch import Tensor

from fewshot.errors import InvalidInput


def episode_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of right predictions of each task: logits (T, Q, W), labels (T, Q) with -1 pads  ->  (T,) float64.

    Among equal logits the first class is predicted. NaN logits raise `InvalidInput`.
    """
    check_scores("logits", logits, labels)
    return accuracy_of_predictions(logits.argmax(-1), labels)


def accuracy_of_predictions(predictions: Tensor, labels: Tensor) -> Tensor:
    """The same from predicted classes (T, Q) within the task."""
    check_predictions(predictions, labels)
    return mean_over_queries(predictions == labels, labels)


def mean_over_queries(right: Tensor, labels: Tensor) -> Tensor:
    """Mean of a mask (T, Q) over the queries of each task that are not padding; a task without any is refused."""
    counted = labels >= 0
    total = counted.sum(1)
    if bool((total == 0).any()):
        raise InvalidInput(f"task {int((total == 0).nonzero()[0])} has no queries; an accuracy needs at least one")
    return (right & counted).sum(1).double() / total


def check_predictions(predictions: Tensor, labels: Tensor) -> None:
    """Refuse predictions and labels that are not integers of one shape (T, Q), or hold no task."""
    for name, values in (("predictions", predictions), ("labels", labels)):
        if values.ndim != 2 or values.is_floating_point() or len(values) == 0:
            raise InvalidInput(f"{name} must be integers (tasks, queries), found {values.dtype} {tuple(values.shape)}")
    if predictions.shape != labels.shape:
        raise InvalidInput(
            f"predictions and labels must have one shape, found {tuple(predictions.shape)} and {tuple(labels.shape)}"
        )


def check_scores(name: str, scores: Tensor, labels: Tensor) -> None:
    """Refuse scores that are not (T, Q, W) for labels (T, Q) below W, or that are NaN where there is a query."""
    if scores.ndim != 3 or scores.shape[:2] != labels.shape or 0 in scores.shape:
        raise InvalidInput(
            f"{name} must be (tasks, queries, ways) for labels (tasks, queries), "
            f"found {tuple(scores.shape)} and {tuple(labels.shape)}"
        )
    if bool((labels >= scores.shape[2]).any()):
        raise InvalidInput(f"labels must be below the {scores.shape[2]} ways, found {int(labels.max())}")
    broken = (scores.isnan().any(-1) & (labels >= 0)).any(1)
    if bool(broken.any()):
        raise InvalidInput(
            f"{name} of task {int(broken.nonzero()[0])} hold NaN, as do {int(broken.sum())} of {len(broken)} tasks; "
            "the method broke down, so it has no accuracy"
        )
