"""From new items to their vectors, by way of the ledger: what was embedded before a stop is not embedded again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fewshot.errors import BrokenImages
from fewshot.retrieval.build.embedding import embed_all
from fewshot.retrieval.build.encoder import Encoder
from fewshot.retrieval.build.intake import Intake
from fewshot.retrieval.build.ledger import Ledger
from fewshot.retrieval.build.pool import Pool, Vectors, source_vectors, without
from fewshot.retrieval.build.scanning import Scan
from fewshot.retrieval.sources import Source, VectorSource


@dataclass(frozen=True)
class Embedded:
    """The items that have vectors, these vectors by place, and the keys of those that cannot be read."""

    found: Scan
    vectors: Vectors
    broken: tuple[str, ...]


def plan_work(folder: Path, source: Source, encoder: Encoder, found: Scan, shard_rows: int, restart: bool) -> Ledger:
    """The ledger of what of `found` is not embedded yet; whoever embeds its shards, `embedded` then finds them."""
    ledger = Ledger.begin(folder, encoder.fingerprint, encoder.dim, restart)
    missing = Pool.of(ledger.finished()).missing(source, found)
    rows = [found.rows[place] for place in missing]
    ledger.plan(rows, [source.keys[row] for row in rows], [found.hashes[place] for place in missing], shard_rows)
    return ledger


def embedded(
    folder: Path,
    source: Source,
    encoder: Encoder,
    found: Scan,
    intake: Intake,
) -> Embedded:
    """The vectors of all items of `found`, embedded now where they are not in the ledger.

    Raises `BrokenImages` naming every item that cannot be read, unless they are to be skipped; the others are embedded
    by then, and kept for the next time.
    """
    if isinstance(source, VectorSource):
        return Embedded(found, source_vectors(source, found), ())
    ledger = plan_work(folder, source, encoder, found, intake.shard_rows, intake.restart)
    done = len(found.rows) - sum(len(ledger.planned(name).rows) for name in ledger.shards)
    embed_all(ledger, source, encoder, done, intake.progress)
    pool = Pool.of(ledger.finished())
    broken = (*found.unreadable, *pool.broken(source, found))
    if broken and not intake.skip_broken:
        raise BrokenImages(
            source.name, broken, hint="pass skip_broken=True (--skip-broken) to leave them out; the others are kept"
        )
    found = without(found, source, broken)
    return Embedded(found, pool.vectors(source, found), broken)
