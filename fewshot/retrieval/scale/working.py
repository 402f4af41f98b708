"""Working: any number of processes claim shards of a ledger and embed them, until none is left."""

from __future__ import annotations

import time
from pathlib import Path

from fewshot.errors import FewshotError, MissingData
from fewshot.progress import progress_bar
from fewshot.retrieval.build.embedding import embed_shard
from fewshot.retrieval.build.encoder import Encoder
from fewshot.retrieval.build.ledger import LEDGER, Ledger
from fewshot.retrieval.scale.claims import LEASE, Claims
from fewshot.retrieval.sources import Source
from fewshot.retrieval.store import has_manifest, read_manifest

PAUSE = 0.5


def embed_claimed(
    folder: Path, source: Source, encoder: Encoder, lease: float = LEASE, progress: bool = False
) -> tuple[int, int]:
    """Embed shards of the work under way in the index `folder` until all are finished; gives shards and items done.

    Shards that others hold are waited for, and taken over when their holder ends. Comes back early where the work was
    published meanwhile.
    """
    ledger, before = Ledger.open(folder), generation(folder)
    if ledger is None:
        return 0, 0
    claims = Claims(ledger.folder, lease)
    shards = items = 0
    with progress_bar(f"{encoder.told['name']} · {source.name}", len(ledger.shards), show=progress) as advance:
        left = len(ledger.shards)
        while names := ledger.unfinished():
            advance(left - len(names))
            left = len(names)
            try:
                if claim := claims.take(names):
                    name = claim.name.rpartition(".")[0]
                    with claims.held(claim):
                        if name in ledger.unfinished():
                            items += embed_shard(ledger, name, source, encoder)
                            shards += 1
                    continue
            except (FewshotError, FileNotFoundError):
                if generation(folder) != before or not (ledger.folder / LEDGER).is_file():
                    break  # others have published it
                raise
            if generation(folder) != before:
                break
            time.sleep(min(PAUSE, lease / 4))
    return shards, items


def wait_for_work(folder: Path, seconds: float) -> None:
    """Wait until somebody has planned work in `folder`; raises `MissingData` after `seconds`."""
    end = time.monotonic() + seconds
    while not (folder / "work" / LEDGER).is_file():
        if time.monotonic() >= end:
            raise MissingData(
                f"{folder} has no work under way that could be joined; start the process that leads first"
            )
        time.sleep(min(PAUSE, max(seconds, 0.01)))


def generation(folder: Path) -> int:
    """The version that holds now; 0 before the first."""
    return read_manifest(folder).generation if has_manifest(folder) else 0
