"""`transfer_check`: pretrained features against random ones and the target alone, on the same draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from fewshot.episodes import Episodes
from fewshot.errors import InvalidInput
from fewshot.learners import Learner, evaluate
from fewshot.transfer.negative.scratch import scratch_accuracy
from fewshot.transfer.negative.verdict import TransferCheck

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable

SCRATCH = "trained from scratch"


def transfer_check(
    tables: Mapping[str, EmbeddingTable],
    episodes: Episodes,
    learner: Learner,
    images: Tensor | None = None,
    confidence: float = 0.95,
) -> TransferCheck:
    """How `learner` does over each table on the same `episodes`, and whether the first table's source helps.

    tables: the pretrained features first, then the alternatives, such as those of random weights and raw pixels, all of
    the same items: the same labels and the same learner, so an equal budget. images (N, C, H, W): with them a small
    net is trained from scratch on each draw as well. Raises `InvalidInput` for tables of different items, features that
    are the same for every item, or a single class.
    """
    if not tables:
        raise InvalidInput("a check needs tables of features, the pretrained ones first, found none")
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if table.ids != first.ids:
            raise InvalidInput(f"the tables of a check must be of the same items; {name!r} has others")
        if bool((table.features == table.features[:1]).all()):
            raise InvalidInput(f"the features of {name!r} are the same for every item; check its weights and layer")
    if len(first.labels.unique()) < 2:
        raise InvalidInput(f"a check needs two classes or more, and {first.name} has one; add another class")
    accuracy = {name: evaluate(learner, table, episodes, top_k=()).per_episode for name, table in tables.items()}
    if images is not None:
        accuracy[SCRATCH] = scratch_accuracy(images, episodes)
    return TransferCheck(accuracy, confidence)
