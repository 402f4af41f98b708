"""Build: scan, plan, embed, gather, train and fill, measure, and publish."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fewshot.errors import InvalidInput, MissingData
from fewshot.retrieval.build.encoder import Encoder, encoder_for
from fewshot.retrieval.build.gathering import chosen_columns, gather
from fewshot.retrieval.build.intake import Intake
from fewshot.retrieval.build.ledger import Ledger, drop_work
from fewshot.retrieval.build.plan import Plan, disk_free, disk_needed, make_choice
from fewshot.retrieval.build.pool import Pool
from fewshot.retrieval.build.publishing import nothing_left, now, publish, sweep, versions
from fewshot.retrieval.build.scanning import Scan, needs_work, scan
from fewshot.retrieval.build.segments import measured, segment_name, write_segment
from fewshot.retrieval.build.wish import Wish, settings_of
from fewshot.retrieval.build.work import embedded
from fewshot.retrieval.sources import Source, open_source
from fewshot.retrieval.store import Manifest, has_manifest, writing_lock

OURS = {"work", "lock", "shards", "segments", "tombstones"}


def build(
    given: Any,
    folder: Path,
    backbone: Any = None,
    wish: Wish | None = None,
    confirm: Callable[[Plan], bool] | None = None,
    **how: Any,
) -> Manifest | None:
    """Build an index in `folder`; gives what was published, or None where `confirm` said no to the plan.

    `how`: the fields of `Intake`.
    """
    wish, intake = wish or Wish(), Intake.of(how)
    check_free(folder)
    source = open_source(given, intake.texts, intake.paths)
    encoder = encoder_for(source, backbone, intake.batch_size, intake.workers)
    kept = chosen_columns(source, intake.columns)
    found = scan(source, {}, intake.progress)
    plan = make_plan(folder, source, encoder, found, wish, intake.restart)
    plan.check(folder)
    if confirm and not confirm(plan):
        return None
    with writing_lock(folder, intake.wait), nothing_left(folder):
        check_free(folder)
        sweep(folder, None)
        items = embedded(folder, source, encoder, found, intake)
        if not items.found.rows:
            raise MissingData(f"{source.name} has nothing to index: none of its {len(source)} items can be read")
        shards = gather(folder, 1, source, items.found, items.vectors, kept, 0, encoder.dim, wish.metric)
        manifest = Manifest(
            generation=1,
            dim=encoder.dim,
            metric=wish.metric,
            next_id=len(items.found.rows),
            backbone=encoder.told,
            source=source.described,
            settings=settings_of(wish, plan),
            measured={},
            shards=tuple(shards),
            segments=(),
            tombstones=None,
            columns={name: str(kind) for name, kind in kept.items()},
            created=now(),
            written=now(),
            versions=versions(),
        )
        manifest = indexed(folder, manifest, wish)
        publish(folder, manifest)
        drop_work(folder)
    return manifest


def indexed(folder: Path, manifest: Manifest, wish: Wish) -> Manifest:
    """`manifest` with one segment over all its shards, and search settings that were proved to reach the recall."""
    factory = str(manifest.settings["factory"])
    segment = write_segment(folder, manifest, factory, segment_name(manifest.generation))
    manifest = replace(manifest, segments=(segment,))
    search, facts = measured(folder, manifest, wish.recall, wish.k)
    facts["segment_bytes"] = sum(note.bytes for note in segment.files.values())
    return replace(manifest, settings={**manifest.settings, "search": search}, measured=facts)


def make_plan(folder: Path, source: Source, encoder: Encoder, found: Scan, wish: Wish, restart: bool = False) -> Plan:
    """What a build of `source` in `folder` would do and cost, with nothing written yet.

    found: the scan of all items; wish: metric, index, recall and memory asked for; restart: count nothing of an earlier
    build that was stopped as done. Raises `InvalidInput` for an index that cannot be made, or not in so much memory.
    """
    ledger = None if restart else Ledger.open(folder)
    done = Pool.of(ledger.finished()) if ledger and ledger.encoder == encoder.fingerprint else Pool.of([])
    missing = [found.rows[place] for place in done.missing(source, found)] if needs_work(source) else []
    count = len(found.rows)
    choice, limit = make_choice(wish.index, count, encoder.dim, wish.metric, wish.memory, wish.recall, wish.k)
    return Plan(
        source=source.name,
        backbone=str(encoder.told["name"]),
        vectors=count,
        embedded=count - len(missing),
        dim=encoder.dim,
        metric=wish.metric,
        recall=wish.recall,
        k=wish.k,
        choice=choice,
        memory_limit=limit,
        disk_bytes=disk_needed(count, encoder.dim, choice, needs_work(source)),
        disk_free=disk_free(folder),
        embedding_seconds=encoder.seconds(source, missing),
    )


def check_free(folder: Path) -> None:
    """Raise `InvalidInput` where `folder` is an index already, or holds files that are not ours."""
    if has_manifest(folder):
        raise InvalidInput(
            f"{folder} is an index already; add to it with `fewshot index add`, or remove it to build anew"
        )
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; give a new folder for the index")
    if folder.is_dir():
        foreign = [name for name in os.listdir(folder) if name not in OURS and not name.startswith(".manifest.json.")]
        if foreign:
            raise InvalidInput(f"{folder} holds other files ({sorted(foreign)[0]}); give a new folder for the index")
