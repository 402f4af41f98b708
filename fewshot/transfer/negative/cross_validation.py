"""Candidates compared on held-out folds of the target, and the one-standard-error rule that prefers the simplest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.errors import InvalidInput
from fewshot.transfer.negative.linear_head import fit_head

Candidate = Callable[[Tensor, Tensor], Tensor]
"""From item numbers to learn from and item numbers to answer, (A,) and (B,), to the predicted labels (B,)."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and the held-out accuracy of each candidate with the standard error of its mean over folds."""

    chosen: str
    best: str
    accuracy: dict[str, float]
    standard_error: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Every field by name, ready for JSON."""
        return vars(self)


def choose_by_cross_validation(
    candidates: Mapping[str, Candidate],
    labels: Tensor,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    standard_errors: float = 1.0,
) -> Choice:
    """The first candidate that is within `standard_errors` of the best on held-out folds of the target.

    candidates: the simplest first, such as no transfer at all, since doubt goes to them (Breiman et al. 1984, the
    one-standard-error rule); 0 takes the best itself. labels (N,) of the target items that there are; each class is
    spread over the `folds` evenly, anew in each of `repeats`. The standard error is that of the mean over folds of the
    difference to the best, which is smaller than that of either, since folds are easy or hard for both.

    Raises `InvalidInput` for no candidates, a single class, or a class of fewer items than folds.
    """
    if not candidates:
        raise InvalidInput("cross-validation needs a candidate or more, found none")
    scores: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(repeats):
        fold = stratified_folds(labels, folds, seed + repeat)
        for number in range(folds):
            learn, answer = (fold != number).nonzero().flatten(), (fold == number).nonzero().flatten()
            for name, candidate in candidates.items():
                scores[name].append(float((candidate(learn, answer) == labels[answer]).double().mean()))
    table = {name: torch.tensor(values, dtype=torch.float64) for name, values in scores.items()}
    means = {name: float(values.mean()) for name, values in table.items()}
    best = max(means, key=means.__getitem__)
    errors = {name: float((values - table[best]).std() / len(values) ** 0.5) for name, values in table.items()}
    chosen = next(name for name in means if means[best] - means[name] <= standard_errors * errors[name])
    return Choice(chosen, best, means, errors)


def held_out_choice(
    candidates: Mapping[str, Candidate], labels: Tensor, folds: int = 5, standard_errors: float = 1.0
) -> Candidate:
    """A candidate that is, whenever it learns, the one that folds of the items it learns from choose.

    With no transfer as the first candidate this is falling back; with a head at each depth of a network it chooses the
    depth. It is scored like any other candidate, since its choice sees no item that it answers. Raises as
    `choose_by_cross_validation`, when it learns.
    """

    def answer(learn: Tensor, query: Tensor) -> Tensor:
        def within(candidate: Candidate, kept: Tensor, out: Tensor) -> Tensor:
            return candidate(learn[kept], learn[out])

        inner = {name: partial(within, candidate) for name, candidate in candidates.items()}
        choice = choose_by_cross_validation(inner, labels[learn], folds, standard_errors=standard_errors)
        return candidates[choice.chosen](learn, query)

    return answer


def head_candidate(features: Tensor, labels: Tensor, ways: int, penalty: float = 0.1) -> Candidate:
    """A linear head over these features (N, D), scaled to length 1, for labels (N,) in [0, ways); see `fit_head`."""
    scaled = normalize(features.float(), dim=1)

    def answer(learn: Tensor, query: Tensor) -> Tensor:
        return fit_head(scaled[learn], labels[learn], ways, penalty).predict(scaled[query])

    return answer


def choose_depth(
    depths: Mapping[str, Tensor],
    labels: Tensor,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    standard_errors: float = 0.0,
) -> Choice:
    """The depth whose features (N, D) carry the best head on held-out folds of the target's labels (N,).

    depths: features of the same items by name, the ones to prefer in doubt first, for `standard_errors` above 0.
    Raises as `choose_by_cross_validation`.
    """
    _, dense = torch.as_tensor(labels).unique(return_inverse=True)
    ways = int(dense.max()) + 1
    candidates = {name: head_candidate(features, dense, ways) for name, features in depths.items()}
    return choose_by_cross_validation(candidates, dense, folds, repeats, seed, standard_errors)


def stratified_folds(labels: Tensor, folds: int, seed: int = 0) -> Tensor:
    """The fold (N,) of each item: every class is dealt out in random order, and starts where the last one ended."""
    classes, dense, counts = torch.as_tensor(labels).unique(return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise InvalidInput(f"cross-validation needs items of two classes or more, found {len(classes)}")
    if folds < 2 or int(counts.min()) < folds:
        raise InvalidInput(
            f"{folds} folds need 2 or more, and as many items of every class, found {int(counts.min())} of class "
            f"{int(classes[counts.argmin()])}; lower folds or add items"
        )
    order = torch.randperm(len(dense), generator=torch.Generator().manual_seed(seed))
    dealt = order[dense[order].argsort(stable=True)]
    fold = torch.empty_like(dense)
    fold[dealt] = torch.arange(len(dealt)) % folds
    return fold
