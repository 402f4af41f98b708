"""Tables with a pool, from which supports are drawn, and a test part, which no learner learns from."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from fewshot.embeddings import EmbeddingTable
from fewshot.embeddings.table import concatenate
from fewshot.episodes.randomness import Randomness
from fewshot.errors import InvalidInput


def pooled_table(split: str, pool: str, table: Callable[[str], EmbeddingTable]) -> tuple[EmbeddingTable, Tensor]:
    """The items of pool and test in one table, and the mask (N,) of the pool.

    `table` gives the table of a split by name. A `pool` that is a share, such as "2/3", divides `split` itself; "none"
    is an empty one, so that all of `split` is tested.
    """
    if pool == "none":
        whole = table(split)
        return whole, torch.zeros(len(whole), dtype=torch.bool)
    share = _share(pool)
    if share is not None:
        whole = table(split)
        return whole, share_of_each_class(whole.labels, share)
    here, there = table(pool), table(split)
    if set(here.class_names) != set(there.class_names):
        raise InvalidInput(
            f"the pool {pool} has other classes than {split}; a pool must hold the classes that are tested"
        )
    return concatenate([here, there]), torch.arange(len(here) + len(there)) < len(here)


def share_of_each_class(labels: Tensor, share: Fraction, seed: int = 0) -> Tensor:
    """A mask (N,) of `share` of the items of each class, rounded down, the same on every machine."""
    labels = labels.cpu()
    order = Randomness(seed, torch.zeros(1, dtype=torch.int64)).uniform("pool", len(labels))[0].argsort()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = order[labels[order] == label]
        chosen[members[: len(members) * share.numerator // share.denominator]] = True
    return chosen


def _share(pool: str) -> Fraction | None:
    try:
        share = Fraction(pool)
    except (ValueError, ZeroDivisionError):
        return None
    if not 0 < share < 1:
        raise InvalidInput(f"a pool that is a share must lie between 0 and 1, such as 2/3; found {pool}")
    return share
