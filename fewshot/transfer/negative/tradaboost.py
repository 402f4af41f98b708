"""TrAdaBoost: source items that keep being wrong lose weight, target items that are wrong gain it (Dai et al. 2007)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.negative.linear_head import LinearHead, check_items, fit_head


@dataclass(frozen=True, eq=False)
class BoostedHeads:
    """The heads of the second half of the rounds with their say, log(1 / beta_t), and the last weights of the source.

    source_weights (N,) are relative to those of the target, whose sum is 1.
    """

    heads: Sequence[LinearHead]
    says: tuple[float, ...]
    source_weights: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """The class (N,) with the most say."""
        votes = torch.zeros(len(features), self.heads[0].weight.shape[0], dtype=torch.float64)
        rows = torch.arange(len(features))
        for head, say in zip(self.heads, self.says, strict=True):
            votes[rows, head.predict(features)] += say
        return votes.argmax(1)


def tradaboost(
    source: Tensor,
    source_labels: Tensor,
    target: Tensor,
    target_labels: Tensor,
    ways: int,
    rounds: int = 20,
    penalty: float = 1.0,
) -> BoostedHeads:
    """Boost linear heads over source (N, D) and target (M, D) together, labels in [0, ways).

    Algorithm 1 of Dai et al. (2007, Boosting for transfer learning): with the error eps_t on the target, target weights
    of mistakes grow by (1 - eps_t) / eps_t, source weights of mistakes shrink by 1 / (1 + sqrt(2 ln N / rounds)), and
    the second half of the rounds votes. The paper has two classes; with more, a mistake is any other class, as in
    AdaBoost.M1. The first weights, which the paper leaves to the user, are such that source and target weigh the same
    in all, or else a large source that is wrong throughout would never be doubted. eps_t is kept between 0.001 and
    0.499, and the weights that a head is fitted with have the mean 1, so that the penalty means the same in every
    round.
    """
    source, source_labels, _ = check_items(source, source_labels, ways)
    target, target_labels, _ = check_items(target, target_labels, ways)
    if rounds < 2:
        raise InvalidInput(f"TrAdaBoost takes 2 rounds or more, since the second half votes, found {rounds}")
    items, labels = torch.cat([source, target]), torch.cat([source_labels, target_labels])
    from_source = torch.arange(len(items)) < len(source)
    shrink = 1 / (1 + math.sqrt(2 * math.log(len(source)) / rounds))
    weights = torch.where(from_source, 1.0, len(source) / len(target)).double()
    heads, says = [], []
    for _ in range(rounds):
        head = fit_head(items, labels, ways, penalty, weights / weights.mean())
        wrong = (head.predict(items) != labels).double()
        error = target_error(wrong[~from_source], weights[~from_source])
        beta = error / (1 - error)
        weights = weights * torch.where(from_source, shrink**wrong, beta**-wrong)
        heads.append(head)
        says.append(-math.log(beta))
    half = math.ceil(rounds / 2) - 1  # the paper counts rounds from 1 and votes from the round ceil(rounds / 2) on
    return BoostedHeads(heads[half:], tuple(says[half:]), weights[from_source] / weights[~from_source].sum())


def target_error(wrong: Tensor, weights: Tensor) -> float:
    """The weighted share of mistakes on the target, kept away from 0 and 1/2, where a vote would be without bounds."""
    return min(max(float((wrong * weights).sum() / weights.sum()), 1e-3), 0.499)
