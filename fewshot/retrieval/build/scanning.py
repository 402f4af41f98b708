"""What of a source is new, what has changed, and what an index has already: told by keys and content hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fewshot.progress import progress_bar
from fewshot.retrieval.sources import Source, VectorSource
from fewshot.retrieval.store import Snapshot

PORTION = 4096


@dataclass(frozen=True)
class Scan:
    """Rows of a source that an index lacks, with their hashes, and what became of the others.

    `replaced` are ids whose item has changed, `unreadable` keys of items that cannot even be read.
    """

    rows: tuple[int, ...]
    hashes: tuple[str, ...]
    unchanged: int
    replaced: tuple[int, ...]
    unreadable: tuple[str, ...]


def scan(source: Source, known: Mapping[str, tuple[str, int]], progress: bool = False) -> Scan:
    """Compare every item of `source` with what is `known`: hash and id by key."""
    rows, hashes, replaced, unreadable, unchanged = [], [], [], [], 0
    with progress_bar(f"reading {source.name}", len(source), show=progress) as advance:
        for at in range(0, len(source), PORTION):
            portion = range(at, min(at + PORTION, len(source)))
            for row, found in zip(portion, source.hashes(portion), strict=True):
                key = source.keys[row]
                before = known.get(key)
                if found is None:
                    unreadable.append(key)
                elif before and before[0] == found:
                    unchanged += 1
                else:
                    rows.append(row)
                    hashes.append(found)
                    replaced += [before[1]] if before else []
            advance(len(portion))
    return Scan(tuple(rows), tuple(hashes), unchanged, tuple(replaced), tuple(unreadable))


def known_items(snapshot: Snapshot) -> dict[str, tuple[str, int]]:
    """Hash and id of every item of an index that is not deleted, by its key."""
    alive = snapshot.alive
    table = snapshot.table(["key", "hash"]).filter(alive)
    ids = snapshot.ids[alive].tolist()
    return {
        key: (found, number)
        for key, found, number in zip(table["key"].to_pylist(), table["hash"].to_pylist(), ids, strict=True)
    }


def needs_work(source: Source) -> bool:
    """Whether items have to be embedded, so that a ledger keeps what is done; vectors are only copied."""
    return not isinstance(source, VectorSource)
