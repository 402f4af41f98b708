"""Temperature scaling: one number that makes confidence honest (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.classify.examples import Examples
from fewshot.classify.held_out import held_out_logits, stratified_folds
from fewshot.errors import InvalidInput
from fewshot.learners import Learner
from fewshot.metrics import calibration_error

FOLDS, FEWER, SEVERAL = 10, 3, 1000  # folds of the examples, each held out once; fewer of more than so many
COLDEST, HOTTEST, HALVINGS = 1e-6, 1e6, 50


@dataclass(frozen=True)
class Calibration:
    """The temperature that logits are divided by, and what it rests on.

    examples: how many held-out predictions it was fitted to, 0 where there were none and confidence is as the learner
    gives it; ece_before, ece_after: the expected calibration error on these, in [0, 1].
    """

    temperature: float = 1.0
    examples: int = 0
    ece_before: float | None = None
    ece_after: float | None = None

    @property
    def even(self) -> bool:
        """Whether all classes get the same confidence, since held-out predictions were no better than chance."""
        return self.temperature > HOTTEST / 2

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Calibration:
        """Fitted to held-out logits (N, W); rows of NaN, never held out, are left out."""
        kept = ~logits.isnan().any(1)
        logits, labels = logits[kept], labels[kept]
        if not len(logits):
            return cls()
        temperature = fit_temperature(logits, labels)
        before, after = (
            calibration_error((logits / each).softmax(1)[None], labels[None]) for each in (1.0, temperature)
        )
        return cls(temperature, len(logits), before, after)


def calibrate(learner: Learner, examples: Examples) -> Calibration:
    """The temperature for what `learner` makes of the examples, from those it is made of: in folds, each held out."""
    if not len(examples.labels):
        return Calibration()
    count = len(examples.labels)
    folds = min(FOLDS, count) if count <= SEVERAL else FEWER
    held = stratified_folds(examples.labels, folds, lone=not learner.needs_support)
    return Calibration.of(held_out_logits(learner, examples, held), examples.labels)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes labels (N,) most probable under logits (N, W) divided by it.

    A target is 1 - 1 / (N + 2) for the label and the rest in equal parts for the others (Platt 1999, section 2.2):
    where all predictions are right, the temperature stays above zero and confidence says how few they were. The loss
    is convex in 1 / temperature, so its slope is bisected.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(logits) or logits.shape[1] < 2:
        raise InvalidInput(
            f"a temperature needs logits (N, 2 classes or more) and labels (N,), found {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    logits = logits.double() - logits.double().amax(1, keepdim=True)
    missed = 1 / (len(logits) + 2)
    target = torch.full_like(logits, missed / (logits.shape[1] - 1))
    target.scatter_(1, labels[:, None], 1 - missed)

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):
        inverse = (low * high) ** 0.5
        slope = (((logits * inverse).softmax(1) - target) * logits).sum()
        low, high = (low, inverse) if slope > 0 else (inverse, high)
    return 1 / (low * high) ** 0.5
