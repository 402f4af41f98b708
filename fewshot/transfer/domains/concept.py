"""Test of concept shift: is it worth to know the domain of an item in order to name its class?

A classifier whose slopes may differ between domains, by features copied for each (Daumé 2007, Frustratingly easy
domain adaptation), against one whose slopes may not, scored by the log-likelihood of held-out items. Both may have
class shares of each domain's own, so that a label shift alone is no concept shift. Where p(class | item) is otherwise
the same in both, the copies have nothing to add.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.metrics import paired_test

STRENGTH = 0.1  # the inverse of the ridge penalty on z-scored features
INTERCEPT = 10.0  # the size of the column that tells the domain, so that its weight is hardly penalised


@dataclass(frozen=True)
class ConceptShiftTest:
    """What knowing the domain adds to the log-likelihood of a held-out item, in nats, its interval, and the p value.

    The p value is one-sided: it is small where the mean over `count` items lies above zero.
    """

    gain: float
    half_width: float
    p_value: float
    count: int


def concept_shift_test(
    source: Tensor,
    labels: Tensor,
    target: Tensor,
    target_labels: Tensor,
    folds: int = 5,
    most: int = 500,
    seed: int = 0,
) -> ConceptShiftTest:
    """For source (N, D), labels (N,), target (M, D), target_labels (M,); at most `most` items of each domain are drawn.

    Raises `InvalidInput` where a domain has fewer items than `folds`.
    """
    generator = torch.Generator().manual_seed(seed)
    count = min(len(source), len(target), most)
    if count < folds:
        raise InvalidInput(f"{folds} folds need {folds} items of each domain, found {count}")
    picks = [torch.randperm(len(part), generator=generator)[:count] for part in (source, target)]
    items = torch.cat([source[picks[0]], target[picks[1]]]).double()
    classes = torch.cat([labels[picks[0]], target_labels[picks[1]]])
    domain = torch.arange(2).repeat_interleave(count)
    fold = torch.cat([torch.randperm(count, generator=generator) % folds for _ in range(2)])
    shared, own = torch.empty(2, 2 * count, dtype=torch.float64)
    for held_out in range(folds):
        train, test = fold != held_out, fold == held_out
        mean, deviation = items[train].mean(0), items[train].std(0)
        scaled = (items - mean) / torch.where(deviation > 0, deviation, 1)
        alike = torch.cat([scaled, INTERCEPT * (domain[:, None] - 0.5)], 1)
        copies = torch.cat([alike, *(scaled * (domain == number)[:, None] for number in range(2))], 1)
        shared[test] = _log_likelihood(alike, classes, train, test, STRENGTH)
        # what both domains share is written in three places, and there costs two thirds of the penalty
        own[test] = _log_likelihood(copies, classes, train, test, STRENGTH * 2 / 3)
    found = paired_test(own, shared)
    upward = found.p_value / 2 if found.difference.mean > 0 else 1 - found.p_value / 2
    return ConceptShiftTest(found.difference.mean, found.difference.half_width, upward, 2 * count)


def _log_likelihood(items: Tensor, classes: Tensor, train: Tensor, test: Tensor, strength: float) -> Tensor:
    """Of the class of each test item, by a logistic classifier; a class that training lacks is given one in 10,000."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=1000).fit(items[train].numpy(), classes[train].numpy())
    chances = torch.from_numpy(model.predict_proba(items[test].numpy()))
    known = torch.from_numpy(model.classes_)
    right = (chances * (known == classes[test][:, None])).sum(1)
    return right.clamp(min=1e-4).log()
