"""Delete: the ids are noted as dead and found no more from then on; `compact` gives the room back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fewshot.retrieval.build.publishing import nothing_left, now, publish, sweep
from fewshot.retrieval.build.segments import segment_name
from fewshot.retrieval.store import Snapshot, open_version, read_manifest, writing_lock
from fewshot.retrieval.store.tombstones import write_tombstones


def delete(folder: Path, which: Callable[[Snapshot], np.ndarray], wait: float = 0.0) -> np.ndarray:
    """Delete the items whose ids `which` tells of the version that holds now; gives these ids (n,), ascending.

    They are checked to be there and alive: raises `InvalidInput` naming those that are not.
    """
    read_manifest(folder)  # no lock is made where there is no index
    with writing_lock(folder, wait), nothing_left(folder):
        there = open_version(folder)
        ids = np.unique(which(there))
        if not len(ids):
            return ids
        there.positions(ids)
        sweep(folder, there.manifest)
        generation = there.manifest.generation + 1
        dead = write_tombstones(folder, segment_name(generation), np.union1d(there.dead, ids))
        publish(folder, replace(there.manifest, generation=generation, tombstones=dead, written=now()))
    return ids
