"""Proxy A-distance: how well a linear classifier tells two domains apart (Ben-David et al. 2007, section 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.checks import check_vectors

Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class ProxyADistance:
    """2 (1 - 2 error): 0 where the domains can't be told apart, 2 where never confused, with its 95 % interval.

    `error` is the share of `count` held-out items, half of each domain, given to the wrong domain; the interval is
    Wilson's for that share. A value a little below 0 is chance.
    """

    value: float
    low: float
    high: float
    error: float
    count: int


def proxy_a_distance(
    source: Tensor, target: Tensor, folds: int = 5, most: int = 1000, strength: float = 0.01, seed: int = 0
) -> ProxyADistance:
    """The distance of source (N, D) and target (M, D) by cross-validated logistic regression on z-scored features.

    The same number of each domain is drawn, at most `most`, so that a guess is wrong half of the time; `strength` is
    the inverse of the ridge penalty. Raises `InvalidInput` for fewer items than `folds`.
    """
    source, target = check_vectors(source, target)
    count = min(len(source), len(target), most)
    if folds < 2 or count < folds:
        raise InvalidInput(f"{folds} folds need 2 folds and {folds} items a domain, found {count} in the smaller one")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = torch.Generator().manual_seed(seed)
    drawn = [items[torch.randperm(len(items), generator=generator)[:count]] for items in (source, target)]
    domain = torch.arange(2).repeat_interleave(count).numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
    told = cross_val_predict(classifier, torch.cat(drawn).double().numpy(), domain, cv=cut)
    wrong = int((told != domain).sum())
    low, high = wilson(wrong, 2 * count)
    error = wrong / (2 * count)
    return ProxyADistance(2 * (1 - 2 * error), 2 * (1 - 2 * high), 2 * (1 - 2 * low), error, 2 * count)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `hits` in `count`."""
    share, square = hits / count, Z**2 / count
    middle = share + square / 2
    reach = Z * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, (middle - reach) / (1 + square)), min(1.0, (middle + reach) / (1 + square))
