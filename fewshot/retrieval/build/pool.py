"""The vectors of the items to be published: from finished shards of the ledger, or from a source of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot.retrieval.build.ledger import Finished
from fewshot.retrieval.build.scanning import Scan
from fewshot.retrieval.sources import Source, VectorSource

Vectors = Callable[[slice], np.ndarray]


@dataclass(frozen=True)
class Pool:
    """What is embedded already, by key and hash: shard and row, or None for an item that cannot be decoded."""

    shards: tuple[Finished, ...]
    places: dict[tuple[str, str], tuple[int, int] | None]

    @classmethod
    def of(cls, shards: Sequence[Finished]) -> Pool:
        """All items of finished shards."""
        places: dict[tuple[str, str], tuple[int, int] | None] = {}
        for number, shard in enumerate(shards):
            row = 0
            for place, item in enumerate(zip(shard.planned.keys, shard.planned.hashes, strict=True)):
                places[item] = None if place in shard.broken else (number, row)
                row += place not in shard.broken
        return cls(tuple(shards), places)

    def missing(self, source: Source, found: Scan) -> list[int]:
        """The places in `found` whose items are not embedded yet."""
        items = zip(found.rows, found.hashes, strict=True)
        return [place for place, (row, hashed) in enumerate(items) if (source.keys[row], hashed) not in self.places]

    def broken(self, source: Source, found: Scan) -> list[str]:
        """The keys of items that cannot be decoded."""
        items = [(source.keys[row], hashed) for row, hashed in zip(found.rows, found.hashes, strict=True)]
        return [item[0] for item in items if item in self.places and self.places[item] is None]

    def vectors(self, source: Source, found: Scan) -> Vectors:
        """The vectors of all items of `found`, of which none is missing or broken."""
        items = zip(found.rows, found.hashes, strict=True)
        places = np.array([self.places[source.keys[row], hashed] for row, hashed in items], np.int64).reshape(-1, 2)

        def take(part: slice) -> np.ndarray:
            mine = places[part]
            taken = np.empty((len(mine), self.shards[0].vectors.shape[1]), np.float32)
            for number in np.unique(mine[:, 0]):
                of_shard = mine[:, 0] == number
                taken[of_shard] = self.shards[number].vectors[mine[of_shard, 1]]
            return taken

        return take


def without(found: Scan, source: Source, keys: Sequence[str]) -> Scan:
    """`found` without the items of these keys."""
    out = set(keys)
    kept = [place for place, row in enumerate(found.rows) if source.keys[row] not in out]
    return replace(
        found, rows=tuple(found.rows[place] for place in kept), hashes=tuple(found.hashes[place] for place in kept)
    )


def source_vectors(source: VectorSource, found: Scan) -> Vectors:
    """The vectors of all items of `found`, from where they are."""
    rows = np.array(found.rows, np.int64)
    return lambda part: source.take(rows[part])
