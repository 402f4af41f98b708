"""How items come into an index, told once for `build` and `add`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from fewshot.retrieval.build.encoder import Workers

SHARD_ROWS = 2048


@dataclass(frozen=True)
class Intake:
    """How the items of a source are read, embedded and written down.

    columns: of the source, to keep; None for all. texts, paths: the column of a table that holds texts, or paths of
        pictures. skip_broken: leave out what cannot be read, rather than raise `BrokenImages`.
    batch_size: items a pass of the network; workers: processes that decode, "auto" for as many as pay.
    shard_rows: items between two notes of what is done, which is what a kill can lose; restart: throw away what an
        earlier run has embedded and not published.
    wait: seconds for another writer's lock; progress: show bars.
    """

    columns: Sequence[str] | None = None
    texts: str | None = None
    paths: str | None = None
    skip_broken: bool = False
    batch_size: int = 64
    workers: Workers = "auto"
    shard_rows: int = SHARD_ROWS
    restart: bool = False
    wait: float = 0.0
    progress: bool = True

    @classmethod
    def of(cls, how: Mapping[str, Any]) -> Self:
        """What keyword arguments say; raises `TypeError` for one that is no field."""
        known = [field.name for field in fields(cls)]
        for name in how:
            if name not in known:
                raise TypeError(f"how items come into an index has no {name!r}; it has {', '.join(known)}")
        return cls(**how)
