"""What a classifier says of one image: its most probable classes, or that none of them is probable enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fewshot.errors import BrokenImages, InvalidInput
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.classify.classifier import FewShotClassifier

CHUNK = 256  # images between two moves of the bar


@dataclass(frozen=True)
class Prediction:
    """The `name` of the class, None where the classifier abstains, and its most probable classes, best first.

    top: (name, calibrated probability) of each.
    """

    name: str | int | None
    top: tuple[tuple[str | int, float], ...]

    @property
    def confidence(self) -> float:
        """The probability of the most probable class."""
        return self.top[0][1]


def check_top(k: int, abstain: float) -> None:
    """Raise `InvalidInput` for k below 1 or a threshold that is no probability."""
    if k < 1:
        raise InvalidInput(f"how many classes are told must be 1 or more, found {k}")
    if not 0 <= abstain <= 1:
        raise InvalidInput(f"the threshold to abstain is a probability from 0 to 1, found {abstain:g}")


def top_predictions(classes: np.ndarray, probabilities: np.ndarray, k: int, abstain: float) -> list[Prediction]:
    """The k most probable of the classes (C,) for each row of the probabilities (N, C)."""
    names, predictions = classes.tolist(), []
    for row, columns in zip(probabilities, np.argsort(-probabilities, axis=1, kind="stable")[:, :k], strict=True):
        top = tuple((names[column], float(row[column])) for column in columns)
        predictions.append(Prediction(top[0][0] if top[0][1] >= abstain else None, top))
    return predictions


def predict_many(
    classifier: FewShotClassifier, items: Sequence[str], k: int, abstain: float, skip_broken: bool
) -> tuple[list[str], list[Prediction]]:
    """What `predict_top` says of many paths or texts, and which they are: all, or those that can be read.

    A bar shows; a transductive learner sees all together. Raises `BrokenImages` naming all that cannot be read.
    """
    size = len(items) if classifier.head_.learner.transductive else CHUNK
    kept: list[str] = []
    predictions: list[Prediction] = []
    broken: list[str] = []
    with progress_bar("predict", len(items)) as advance:
        for first in range(0, len(items), max(1, size)):
            part = list(items[first : first + size])
            try:
                found = classifier.predict_top(part, k, abstain)
            except BrokenImages as error:
                broken += error.names
                part = [item for item in part if item not in error.names]
                found = classifier.predict_top(part, k, abstain) if skip_broken else []
            kept += part
            predictions += found
            advance(len(part))
    if broken and not skip_broken:
        raise BrokenImages("images", broken, "leave them out with --skip-broken")
    return kept, predictions
