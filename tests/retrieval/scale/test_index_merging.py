"""Merging on disk: one segment, the same answers, and memory that does not grow with the rows."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fewshot import Index
from fewshot.errors import InvalidInput
from fewshot.retrieval.scale import merge
from fewshot.retrieval.scale.joining import join_files, trained_mark
from fewshot.retrieval.store.writing import new_file

DIM = 16
KINDS = [
    "IVF32,Flat",
    "IVF32,SQ8",
    "IVF32,PQ8x4",
    "IVF32,RaBitQ4",
    "IVF16_HNSW8,SQ8",
    "PCA8,IVF16,SQ8",
    "IVF16,SQ8,RFlat",
]


def drawn(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def in_parts(folder, kind: str, metric: str, monkeypatch) -> Index:
    """A large part, and two that are added like it; some of the items deleted."""
    monkeypatch.setattr("fewshot.retrieval.engine.choice.FLAT_UP_TO", 100)
    index = Index.build(named(3000, 0), folder, index=kind, recall=0.05, metric=metric, progress=False)
    for part in (1, 2):
        index.add(named(600, part), progress=False)
    monkeypatch.setattr("fewshot.retrieval.engine.choice.FLAT_UP_TO", 10_000)
    index.delete(ids=list(range(0, 4200, 50)))
    return index


def named(count: int, part: int):
    from fewshot.retrieval.sources import VectorSource
    from fewshot.retrieval.sources.vectors import UNKNOWN

    vectors, keys = drawn(count, part), [f"{part}/{row}" for row in range(count)]
    return VectorSource("some", lambda start, stop: vectors[start:stop], DIM, keys, [None] * count, None, {}, UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "metric"),
    [*((kind, "cosine") for kind in KINDS), ("IVF32,SQ8", "l2"), ("IVF16,SQ8,RFlat", "inner-product")],
)
def test_merge(tmp_path, monkeypatch, kind, metric) -> None:
    monkeypatch.setattr("fewshot.retrieval.engine.segment.FEW_ROWS", 0)  # so few rows would all be looked at
    index = in_parts(tmp_path / "index", kind, metric, monkeypatch)
    assert [segment.factory for segment in index.manifest.segments] == [kind] * 3
    queries, rerank = drawn(30, 9), {"nprobe": 1000, "k_factor": 50}
    quick = rerank if "RFlat" in kind else {"nprobe": 3}
    before, shards = index.searcher.search(queries, 10, settings=quick), index.manifest.shards
    assert merge(index.folder)
    index.reopen()
    assert [(segment.factory, segment.rows) for segment in index.manifest.segments] == [(kind, 4200)]
    assert (index.manifest.shards, len(index)) == (shards, 4116)
    assert index.verify().ok, index.verify().problems
    after = index.searcher.search(queries, 10, settings=quick)
    assert np.array_equal(before[1], after[1])  # the same lists were visited
    assert np.allclose(before[0], after[0], atol=1e-5)
    assert not merge(index.folder)
    index.add(named(50, 3), progress=False)  # few: an exact segment, which is then added by the same quantiser
    assert [segment.factory for segment in index.manifest.segments] == [kind, "Flat"]
    whole = index.searcher.search(queries, 10, settings=rerank)
    assert merge(index.folder)
    index.reopen()
    assert [(segment.factory, segment.rows) for segment in index.manifest.segments] == [(kind, 4250)]
    assert index.verify().ok, index.verify().problems
    if kind in ("IVF32,Flat", "IVF16,SQ8,RFlat"):
        assert np.array_equal(whole[1], index.searcher.search(queries, 10, settings=rerank)[1])
    assert sorted(path.name for path in (index.folder / "segments").iterdir()) == ["g000007.faiss"]


def test_what_was_not_trained_alike_is_not_joined(tmp_path, monkeypatch) -> None:
    files = []
    for seed in (0, 1):
        index = Index.build(drawn(2000, seed), tmp_path / str(seed), index="IVF32,SQ8", recall=0.1, progress=False)
        files.append(index.snapshot.segments[0])
    assert trained_mark(files[0]) != trained_mark(files[1])
    with pytest.raises(InvalidInput, match="was trained on other vectors"), new_file(tmp_path / "out") as beside:
        join_files(files, beside)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["Flat", "IVF32,PQ8x4fs", "HNSW8", "IVF32,PQ8x4fs,RFlat"])
def test_kinds_that_cannot_be_joined(tmp_path, monkeypatch, kind) -> None:
    index = Index.build(drawn(2000, 0), tmp_path / "index", index=kind, recall=0.05, progress=False)
    assert not merge(index.folder)
    index.add(named(300, 1), progress=False)
    with pytest.raises(InvalidInput, match="can't be joined on disk"):
        merge(index.folder)
    assert Index.open(index.folder).verify().ok
    assert len(index.manifest.segments) == 2


MEASURE = """
import json, sys, threading, time
from pathlib import Path
import faiss
from fewshot.retrieval.scale import merge
from fewshot.retrieval.store import read_manifest
def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024
before = most = held()
over = threading.Event()
def watch():
    global most
    while not over.wait(0.002):
        most = max(most, held())
watcher = threading.Thread(target=watch); watcher.start()
assert merge(Path(sys.argv[1]))
over.set(); watcher.join()
print(json.dumps({"grown": most - before}))
"""


def test_merging_needs_the_memory_of_a_list_not_of_the_rows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fewshot.retrieval.engine.choice.FLAT_UP_TO", 100)
    wide = np.random.default_rng(0).normal(size=(24_000, 256)).astype(np.float32)
    from fewshot.retrieval.sources import VectorSource
    from fewshot.retrieval.sources.vectors import UNKNOWN

    def part(first: int, last: int) -> VectorSource:
        keys = [str(row) for row in range(first, last)]
        rows = wide[first:last]
        return VectorSource("wide", lambda a, b: rows[a:b], 256, keys, [None] * len(keys), None, {}, UNKNOWN)

    index = Index.build(part(0, 8000), tmp_path / "index", index="IVF16,Flat", recall=0.05, progress=False)
    for first in (8000, 16_000):
        index.add(part(first, first + 8000), progress=False)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(index.folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown = json.loads(done.stdout)["grown"]
    size = Index.open(index.folder).snapshot.segments[0].stat().st_size
    assert size > 24e6
    assert grown < size / 3, f"{grown / 1e6:.1f} MB for a segment of {size / 1e6:.1f} MB"
