"""Ensembles of heads over layers, backbones or seeds: the soft vote, and stacking by held-out shots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.episodes import Episodes
from fewshot.errors import InvalidInput
from fewshot.learners import Learner
from fewshot.learners.probabilities import class_softmax

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable


def soft_vote(probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean (..., ways) of the members' probabilities (members, ..., ways), weighted where weights are given."""
    if weights is None:
        return probabilities.mean(0)
    return torch.einsum("m...,m->...", probabilities, weights.to(probabilities))


def stacking_weights(probabilities: Tensor, labels: Tensor, steps: int = 200) -> Tensor:
    """Weights (members,), not negative and of sum 1, of the mixture that makes held-out labels likeliest.

    probabilities (members, N, ways) of items that no member learned from; labels (N,) in [0, ways). Stacking (Wolpert
    1992) as a linear opinion pool: the log likelihood is concave, and each of the `steps` of EM raises it.
    """
    if probabilities.ndim != 3 or labels.shape != probabilities.shape[1:2] or len(labels) == 0:
        raise InvalidInput(
            f"stacking needs probabilities (members, items, ways) and a label for each item, found "
            f"{tuple(probabilities.shape)} and {tuple(labels.shape)}"
        )
    likelihood = probabilities.double()[:, torch.arange(len(labels)), labels].clamp(min=1e-12)
    weights = likelihood.new_full((len(likelihood),), 1 / len(likelihood))
    for _ in range(steps):
        share = weights[:, None] * likelihood
        weights = (share / share.sum(0)).mean(1)
    return weights


def compare_ensembles(
    tables: Mapping[str, EmbeddingTable], episodes: Episodes, learner: Learner, folds: int = 2
) -> dict[str, Tensor]:
    """The accuracy (draws,) of `learner` over each table alone and of three ways to join them, on the same episodes.

    tables: the same items by different layers, backbones or seeds. "soft vote" is the mean of the probabilities,
    "stacked" weighs them as held-out shots of the support ask for (`folds` folds of the shots of a class), "side by
    side" learns one head over all features, each table's scaled to length 1. Raises `InvalidInput` for tables of
    different items, a transductive learner, or fewer shots than folds.
    """
    _check(tables, episodes, learner, folds)
    joined = torch.cat([normalize(table.features.float(), dim=1) for table in tables.values()], dim=1)
    found: dict[str, list[float]] = {name: [] for name in (*tables, "soft vote", "stacked", "side by side")}
    for episode in episodes:
        support, query = episode.support, episode.query
        labels, truth, ways = episode.support_labels, episode.query_labels[0], episode.ways
        parts = [table.features.float() for table in tables.values()]
        members = torch.stack([_said(learner, part, support, labels, query, ways) for part in parts])
        held_out = torch.stack([_held_out(learner, part, support, labels, ways, folds) for part in parts])
        answers = dict(zip(tables, members, strict=True))
        answers["soft vote"] = soft_vote(members)
        answers["stacked"] = soft_vote(members, stacking_weights(held_out, labels[0]))
        answers["side by side"] = _said(learner, joined, support, labels, query, ways)
        for name, answer in answers.items():
            found[name].append(float((answer.argmax(1) == truth).double().mean()))
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def _said(learner: Learner, features: Tensor, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
    """Probabilities (Q, ways) of the queries of one episode."""
    return class_softmax(learner.fit(features[support], labels, ways)(features[query]))[0]


def _held_out(learner: Learner, features: Tensor, support: Tensor, labels: Tensor, ways: int, folds: int) -> Tensor:
    """Probabilities (S, ways) of each support item by a head that learned from the other folds."""
    place = torch.stack([(labels == way).cumsum(1) for way in range(ways)], dim=2)
    fold = (place.gather(2, labels[..., None]).squeeze(2) - 1) % folds
    answers = features.new_zeros(labels.shape[1], ways)
    for number in range(folds):
        out = fold[0] == number
        answers[out] = _said(learner, features, support[:, ~out], labels[:, ~out], support[:, out], ways)
    return answers


def _check(tables: Mapping[str, EmbeddingTable], episodes: Episodes, learner: Learner, folds: int) -> None:
    if not tables:
        raise InvalidInput("an ensemble needs one table of features or more, found none")
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if table.ids != first.ids:
            raise InvalidInput(f"the tables of an ensemble must be of the same items; {name!r} has others")
    episodes.check(first.labels)
    episodes.check_same_classes()
    if learner.transductive:
        raise InvalidInput(
            f"{learner.name} is transductive, so its answers can't be stacked; take an inductive learner"
        )
    shots = torch.stack([(episodes.support_labels == way).sum(1) for way in range(episodes.ways)]).min()
    if not 2 <= folds <= int(shots):
        raise InvalidInput(
            f"stacking holds out one of {folds} folds of each class, which needs 2 folds or more and as many shots, "
            f"found {int(shots)} shots; lower folds or raise shots"
        )
