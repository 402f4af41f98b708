"""A sample of items: found by their own vector, and embedded anew from where they came."""

from __future__ import annotations

from typing import Any

import numpy as np

from fewshot.errors import FewshotError
from fewshot.retrieval.build.encoder import encoder_for
from fewshot.retrieval.build.unit import prepared
from fewshot.retrieval.sources import VectorSource, open_source, reopen_source
from fewshot.retrieval.store import Snapshot
from fewshot.retrieval.verify.report import Check

NEAR = 0.99  # cosine of a vector and the same item embedded anew, on another machine perhaps


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
    """Items embedded anew have the vectors that the index has."""
    name = "items"
    if count < 1 or not len(snapshot):
        return Check(name, None, "not looked at")
    source = reopen_source(snapshot.manifest.source) if given is None else open_source(given)
    if source is None:
        return Check(name, None, "their source is not there any more")
    rows = snapshot.positions(drawn(snapshot, count))
    place = {key: row for row, key in enumerate(source.keys)}
    keys, hashes = snapshot.keys(rows), snapshot.column("hash").take(rows).to_pylist()
    there = [(place[key], at) for at, key in enumerate(keys) if key in place]
    found = source.hashes([row for row, _ in there])
    same = [pair for pair, hashed in zip(there, found, strict=True) if hashed == hashes[pair[1]]]
    changed = f"; {len(rows) - len(same)} have changed or are gone" if len(same) < len(rows) else ""
    if not same:
        return Check(name, None, f"none of {len(rows)} is as it was when it was indexed")
    try:
        made = snapshot.manifest.backbone
        encoder = encoder_for(source, None if isinstance(source, VectorSource) else backbone or made["name"], workers=0)
        if encoder.fingerprint != made["fingerprint"]:
            return Check(name, None, f"the backbone at hand is another: {encoder.fingerprint}")
        vectors, broken = encoder.encode(source, [row for row, _ in same])
    except FewshotError as error:
        return Check(name, None, f"they cannot be embedded here: {error}")
    if broken:
        return Check(name, False, f"{keys[same[broken[0]][1]]} cannot be decoded")
    mine = [at for _, at in same]
    anew = prepared(vectors, snapshot.manifest.metric, [keys[at] for at in mine]).astype(np.float64)
    kept = snapshot.vectors(rows[mine]).astype(np.float64)
    cosines = (anew * kept).sum(1) / np.linalg.norm(anew, axis=1) / np.linalg.norm(kept, axis=1)
    lowest = float(cosines.min())
    if lowest < NEAR:
        worst = keys[mine[int(cosines.argmin())]]
        return Check(name, False, f"{worst} has another vector when it is embedded anew (cosine {lowest:.3f}){changed}")
    return Check(name, True, f"{len(same)} embedded anew, the cosine is {lowest:.5f} or more{changed}")
