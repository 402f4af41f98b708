"""Leading: one process plans the work that many do, and publishes it; it holds the lock at both ends only."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.retrieval import build as life
from fewshot.retrieval.build.building import check_free, make_plan
from fewshot.retrieval.build.encoder import Encoder, encoder_for
from fewshot.retrieval.build.intake import SHARD_ROWS
from fewshot.retrieval.build.scanning import known_items, needs_work, scan
from fewshot.retrieval.build.work import plan_work
from fewshot.retrieval.scale.claims import Claims
from fewshot.retrieval.scale.working import generation
from fewshot.retrieval.sources import Source
from fewshot.retrieval.store import has_manifest, open_version, writing_lock


@dataclass(frozen=True)
class Lead:
    """What was planned: the source with its content hashes remembered, and how many shards are to be embedded."""

    source: Source
    shards: int
    items: int
    generation: int


def plan_shared(
    folder: Path,
    source: Source,
    backbone: Any,
    wish: life.Wish | None = None,
    shard_rows: int = SHARD_ROWS,
    restart: bool = False,
    wait: float = 0.0,
    progress: bool = True,
) -> Lead:
    """Scan `source`, check what can be checked, and write the ledger of what is to be embedded.

    With an index in `folder` what is new is planned, to be added to it. Raises what build and add raise before they
    start; nothing is written then.
    """
    encoder = encoder_for(source, backbone)
    if not needs_work(source):
        raise InvalidInput(f"{source.name} holds vectors: there is nothing to embed, use `fewshot index build` or add")
    hashed = with_hashes_once(source)
    if not has_manifest(folder):
        check_free(folder)
    found = scan(hashed, _known(folder, encoder), progress)
    if not has_manifest(folder):
        make_plan(folder, hashed, encoder, found, wish or life.Wish()).check(folder)
    with writing_lock(folder, wait):
        ledger = plan_work(folder, hashed, encoder, found, shard_rows, restart)
        Claims(ledger.folder).forget_the_dead()
        names = ledger.unfinished()
        items = sum(len(ledger.planned(name).rows) for name in names)
    return Lead(hashed, len(names), items, generation(folder))


def publish_shared(folder: Path, lead: Lead, backbone: Any, wish: life.Wish | None = None, **how: Any) -> None:
    """Publish what was embedded: build the index, or add to it. Whatever is not finished yet is embedded here.

    `how`: columns, skip_broken, batch_size, workers, wait, progress, shard_rows, as build and add take them.
    """
    if has_manifest(folder):
        life.add(folder, lead.source, backbone, **how)
    else:
        life.build(lead.source, folder, backbone, wish, **how)


def with_hashes_once(source: Source) -> Source:
    """The same source, whose content hashes are made but once, though planning and publishing both ask for them."""
    same, known = copy.copy(source), dict[int, str | None]()

    def hashes(rows: Sequence[int]) -> list[str | None]:
        if unknown := [row for row in rows if row not in known]:
            known.update(zip(unknown, source.hashes(unknown), strict=True))
        return [known[row] for row in rows]

    same.hashes = hashes  # type: ignore[method-assign]
    return same


def _known(folder: Path, encoder: Encoder) -> dict[str, tuple[str, int]]:
    if not has_manifest(folder):
        return {}
    there = open_version(folder)
    mine = there.manifest.backbone
    if (mine["fingerprint"], there.manifest.dim) != (encoder.fingerprint, encoder.dim):
        raise FingerprintMismatch(
            f"{folder} was made by {mine['name'] or 'an unknown backbone'} ({mine['fingerprint']}), and this would add "
            f"vectors of {encoder.told['name']} ({encoder.fingerprint}): give the backbone of the index"
        )
    return known_items(there)
