"""Splits of labelled items into those that are learned from and those that are scored: folds, or draws of few shots."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, SamplingError

Split = tuple[Tensor, Tensor]  # item numbers: to learn from, to score


def check_labels(labels: Tensor, least: int, class_names: Sequence[str] = (), why: str = "") -> int:
    """The number of classes; raises `InvalidInput` for one class only, `SamplingError` for one of too few items."""
    counts = labels.bincount()
    present = (counts > 0).nonzero().flatten().tolist()
    if len(present) < 2:
        raise InvalidInput(f"two classes or more are needed to tell them apart, found {len(present)}; add another")
    small = [f"{class_names[each] if class_names else each} has {counts[each]}" for each in present
             if counts[each] < least]  # fmt: skip
    if small:
        listed = ", ".join(small[:10]) + (f" and {len(small) - 10} more" if len(small) > 10 else "")
        raise SamplingError(f"{why or 'this'} needs {least} items of every class: {listed}; ask for less or add items")
    return len(counts)


def fold_splits(
    labels: Tensor, folds: int = 5, repeats: int = 2, seed: int = 0, class_names: Sequence[str] = ()
) -> list[Split]:
    """`folds` x `repeats` splits, each fold scored once a repeat; every class lies in every fold.

    Raises `InvalidInput` for fewer than two folds or classes, `SamplingError` for a class of fewer items than folds.
    """
    if folds < 2:
        raise InvalidInput(f"folds must be 2 or more, found {folds}")
    check_labels(labels, folds, class_names, f"a split into {folds} folds")
    splits = []
    for repeat in range(repeats):
        fold = places_in_class(labels, seed + repeat) % folds
        splits += [((fold != each).nonzero().flatten(), (fold == each).nonzero().flatten()) for each in range(folds)]
    return splits


def shot_splits(
    labels: Tensor, shots: int, draws: int = 10, seed: int = 0, class_names: Sequence[str] = ()
) -> list[Split]:
    """`draws` splits with `shots` items of each class to learn from and all others to score.

    Raises `InvalidInput` for one class only, `SamplingError` for a class that leaves nothing to score.
    """
    check_labels(labels, shots + 1, class_names, f"{shots} shots, and one more to score,")
    splits = []
    for draw in range(draws):
        chosen = places_in_class(labels, seed + draw) < shots
        splits.append((chosen.nonzero().flatten(), (~chosen).nonzero().flatten()))
    return splits


def places_in_class(labels: Tensor, seed: int) -> Tensor:
    """(N,): the place of each item in a random order of its class, from 0."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    starts = counts.cumsum(0) - counts
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order)) - starts[labels[order]]
    return places
