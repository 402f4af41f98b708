"""A sample of items: found by their own vector, and embedded anew from where they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewshot.errors import BrokenImages, FewshotError, FingerprintMismatch
from fewshot.retrieval.build.encoder import encoder_for
from fewshot.retrieval.build.unit import prepared
from fewshot.retrieval.sources import Source, VectorSource, open_source, reopen_source
from fewshot.retrieval.store import Snapshot
from fewshot.retrieval.verify.report import Check

NAME, NEAR = "items", 0.99  # cosine of a vector and the same item embedded anew, on another machine perhaps


def drawn(snapshot: Snapshot, count: int) -> np.ndarray:
    """Up to `count` ids that are not deleted, the same ones each time."""
    alive = snapshot.ids[snapshot.alive]
    return np.sort(np.random.default_rng(0).choice(alive, min(count, len(alive)), replace=False))


def check_found(snapshot: Snapshot, count: int) -> Check:
    """A search by an item's own vector gives that item; an approximate index may miss few."""
    from fewshot.retrieval.engine import Searcher

    told = snapshot.manifest
    if not len(snapshot):
        return Check("search", None, "nothing to find")
    ids = drawn(snapshot, max(count, 1))
    settings = told.settings.get("search", {})
    searcher = Searcher(snapshot.segments, told.dim, told.metric, snapshot.dead, snapshot.ids, settings=settings)
    queries = snapshot.vectors(snapshot.positions(ids))
    _, hits = searcher.search(queries, min(10, len(snapshot)), short=True)
    found = int((hits == ids[:, None]).any(1).sum())
    alive = np.isin(hits[hits >= 0], snapshot.ids[snapshot.alive]).all()
    ok = bool(alive) and found >= len(ids) * 0.5
    return Check("search", ok, f"{found} of {len(ids)} items are found by their own vector")


def check_items(snapshot: Snapshot, count: int, given: Any, backbone: Any) -> Check:
    """Items embedded anew, from `given` or from the sources they came from, have the vectors that the index has."""
    if count < 1 or not len(snapshot):
        return Check(NAME, None, "not looked at")
    sources = [open_source(given)] if given is not None else _sources(snapshot.manifest.source)
    if not sources:
        return Check(NAME, None, "their source is not there any more")
    rows = snapshot.positions(drawn(snapshot, count))
    keys, hashes = snapshot.keys(rows), snapshot.column("hash").take(rows).to_pylist()
    looked: set[int] = set()
    lowest, worst = 1.0, ""
    for source in sources:
        same = [pair for pair in _unchanged(source, keys, hashes) if pair[1] not in looked]
        if not same:
            continue
        looked |= {at for _, at in same}
        try:
            cosines = _anew(snapshot, source, [row for row, _ in same], rows[[at for _, at in same]], backbone)
        except FewshotError as error:
            return Check(NAME, None, f"they cannot be embedded here: {error}")
        if cosines.min() < lowest:
            lowest, worst = float(cosines.min()), keys[same[int(cosines.argmin())][1]]
    if not looked:
        return Check(NAME, None, f"none of {len(rows)} is as it was when it was indexed")
    rest = f"; {len(rows) - len(looked)} have changed or are gone" if len(looked) < len(rows) else ""
    if lowest < NEAR:
        return Check(NAME, False, f"{worst} has another vector when it is embedded anew (cosine {lowest:.3f}){rest}")
    return Check(NAME, True, f"{len(looked)} embedded anew, the cosine is {lowest:.5f} or more{rest}")


def _sources(told: Mapping[str, Any]) -> list[Source]:
    """The sources of an index that are still there: the first, and those that were added."""
    found = [reopen_source(each) for each in (told, *told.get("added", []))]
    return [source for source in found if source is not None]


def _unchanged(source: Source, keys: Sequence[str], hashes: Sequence[str]) -> list[tuple[int, int]]:
    """Rows of the source, and places among `keys`, of the items that it still has with the same content."""
    place = {key: row for row, key in enumerate(source.keys)}
    there = [(place[key], at) for at, key in enumerate(keys) if key in place]
    found = source.hashes([row for row, _ in there])
    return [pair for pair, hashed in zip(there, found, strict=True) if hashed == hashes[pair[1]]]


def _anew(snapshot: Snapshot, source: Source, of_source: Sequence[int], rows: np.ndarray, backbone: Any) -> np.ndarray:
    """The cosine of each item's vector and the one it gets now; raises `FewshotError` where it gets none."""
    made = snapshot.manifest.backbone
    encoder = encoder_for(source, None if isinstance(source, VectorSource) else backbone or made["name"], workers=0)
    if encoder.fingerprint != made["fingerprint"]:
        raise FingerprintMismatch(f"the backbone at hand is another ({encoder.fingerprint})")
    vectors, broken = encoder.encode(source, of_source)
    if broken:
        raise BrokenImages(source.name, [source.keys[of_source[place]] for place in broken], hint="index them anew")
    anew = prepared(vectors, snapshot.manifest.metric, [source.keys[row] for row in of_source]).astype(np.float64)
    kept = snapshot.vectors(rows).astype(np.float64)
    cosines: np.ndarray = (anew * kept).sum(1) / np.linalg.norm(anew, axis=1) / np.linalg.norm(kept, axis=1)
    return cosines
