"""Logits of examples that the classifier has not seen: folds, each scored by what was learned from the others."""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.classify.examples import Examples
from fewshot.learners import Learner

MEMORY = 256 << 20  # bytes of support features that are fitted at once


def stratified_folds(labels: Tensor, count: int, lone: bool = False) -> Tensor:
    """The fold (N,) in [0, count) of each example; the examples of a class lie in as many folds as they can.

    So a class of two examples or more keeps one whichever fold is left out. The only example of a class is in no fold,
    -1, unless `lone` says that its class can do without.
    """
    folds = torch.empty_like(labels)
    folds[labels.argsort(stable=True)] = torch.arange(len(labels), device=labels.device) % count
    return folds if lone else folds.masked_fill(labels.bincount()[labels] < 2, -1)


def held_out_logits(learner: Learner, examples: Examples, folds: Tensor) -> Tensor:
    """Logits (N, ways) float64 of each example, by the learner fitted on all that are not in its fold (N,).

    NaN for an example in no fold (-1). All folds are tasks of one batch, as far as memory goes.
    """
    features, size = examples.features, examples.features.element_size()
    logits = features.new_full((len(folds), examples.ways), torch.nan, dtype=torch.float64)
    at_once = max(1, MEMORY // max(1, features.numel() * size))
    if learner.needs_base_mean and examples.base is None:
        at_once = 1  # each fold is centred by its own examples
    numbers = folds[folds >= 0].unique()
    for part in numbers.split(at_once) if len(numbers) else ():
        out = folds == part[:, None]
        support, query = _rows(~out), _rows(out)
        with torch.no_grad():
            found = examples.fit_tasks(learner, support)(features[query], query >= 0)
        logits[query[query >= 0]] = found[query >= 0].double()
    return logits


def _rows(mask: Tensor) -> Tensor:
    """The places (T, M) where mask (T, N) is true, -1 beyond the last of each row."""
    counts = mask.sum(1)
    order = (~mask).int().argsort(dim=1, stable=True)[:, : int(counts.max())]
    return order.masked_fill(torch.arange(order.shape[1], device=mask.device) >= counts[:, None], -1)
