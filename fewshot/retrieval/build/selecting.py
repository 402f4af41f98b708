"""Which items a person means: by ids, by keys, or by a filter over what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.store import Snapshot

Selection = Callable[[Snapshot], np.ndarray]


def selection(
    ids: Sequence[int] | np.ndarray | None = None, keys: Sequence[str] | None = None, where: str | None = None
) -> Selection:
    """The ids meant, of whichever version they are asked of; raises `InvalidInput` unless just one way is given."""
    if sum(way is not None for way in (ids, keys, where)) != 1:
        raise InvalidInput("give ids, keys or a filter (where), one of the three")
    if where is not None:
        condition = where
        return lambda there: _where(there, condition)
    if keys is not None:
        wanted = [keys] if isinstance(keys, str) else list(keys)
        return lambda there: _by_keys(there, wanted)
    return lambda there: np.asarray(ids, np.int64).reshape(-1)


def _by_keys(there: Snapshot, keys: Sequence[str]) -> np.ndarray:
    import pyarrow
    from pyarrow import compute

    wanted = pyarrow.array(keys, pyarrow.string())
    mine = there.alive & compute.is_in(there.column("key"), value_set=wanted).to_numpy(zero_copy_only=False)
    found = set(there.column("key").filter(mine).to_pylist())
    if lost := [key for key in keys if key not in found]:
        listed = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
        raise InvalidInput(f"{there.folder} has no item called {listed}")
    return there.ids[mine]


def _where(there: Snapshot, condition: str) -> np.ndarray:
    from fewshot.retrieval.search import matching

    return matching(there, condition)
