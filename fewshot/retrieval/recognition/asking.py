"""Queries made vectors a part at a time, so that many pictures are not all decoded at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.search.queries import Queries

PICTURES = 256  # at a time


def read_all(index: Index, images: Any) -> list[Queries]:
    """What `search` takes as queries, in parts of 256 at most where it is a list; see `read_queries`."""
    from fewshot.retrieval.search.queries import read_queries

    if not isinstance(images, list | tuple) or len(images) <= PICTURES or isinstance(images[0], float | np.floating):
        return [read_queries(index, images)]
    return [read_queries(index, images[start : start + PICTURES]) for start in range(0, len(images), PICTURES)]
