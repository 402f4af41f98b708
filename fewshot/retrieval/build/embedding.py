"""Embedding what a ledger plans, shard by shard."""

from __future__ import annotations

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.progress import progress_bar
from fewshot.retrieval.build.encoder import Encoder
from fewshot.retrieval.build.ledger import Ledger
from fewshot.retrieval.sources import Source


def embed_shard(ledger: Ledger, name: str, source: Source, encoder: Encoder) -> int:
    """Embed one planned shard and keep it; gives the number of its items.

    Raises `FingerprintMismatch` for another encoder than the ledger's, and `InvalidInput` where the source is not the
    one that was planned.
    """
    if encoder.fingerprint != ledger.encoder:
        raise FingerprintMismatch(
            f"{ledger.folder} is work of the backbone {ledger.encoder}, not of {encoder.fingerprint}: vectors of "
            "different backbones do not mix"
        )
    planned = ledger.planned(name)
    if any(not 0 <= row < len(source) or source.keys[row] != key
           for row, key in zip(planned.rows, planned.keys, strict=True)):  # fmt: skip
        raise InvalidInput(f"{source.name} has changed since its shards were planned; give the command again")
    vectors, broken = encoder.encode(source, planned.rows)
    ledger.finish(planned, vectors, broken)
    return len(planned.rows)


def embed_all(ledger: Ledger, source: Source, encoder: Encoder, done: int, progress: bool) -> None:
    """Embed every shard that is not finished; `done` items of earlier runs count in the bar."""
    names = ledger.unfinished()
    if not names:
        return
    total = done + sum(len(ledger.planned(name).rows) for name in names)
    with progress_bar(f"{encoder.told['name']} · {source.name}", total, done, show=progress) as advance:
        for name in names:
            advance(embed_shard(ledger, name, source, encoder))
