"""Small indexes and what is done to them, with texts that a made-up encoder embeds, so that nothing takes long."""

import hashlib
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from fewshot.errors import FewshotError, InvalidInput, MissingData
from fewshot.retrieval import build as life
from fewshot.retrieval.build import gathering
from fewshot.retrieval.build.selecting import selection
from fewshot.retrieval.engine import Searcher
from fewshot.retrieval.sources import TextSource
from fewshot.retrieval.sources.vectors import vectors_of_array
from fewshot.retrieval.store import Snapshot, open_version, writing
from fewshot.retrieval.verify import verify

DIM = 8
Texts = dict[str, str]


class MadeUpEncoder:
    """Vectors that follow from the text alone."""

    fingerprint, name, dim = "feedfacefeedface", "made-up", DIM

    def describe(self) -> dict:
        return {"name": self.name}

    def __call__(self, texts, batch_size: int = 1):
        import torch

        return torch.from_numpy(np.stack([vector_of(text) for text in texts]))


def vector_of(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=DIM).astype(np.float32)


def texts_source(texts: Texts) -> TextSource:
    labels = ["even" if number % 2 == 0 else "odd" for number in range(len(texts))]
    return TextSource("texts", list(texts.values()), list(texts), labels, None, {"kind": "memory", "name": "texts"})


def build_texts(folder: Path, texts: Texts) -> None:
    life.build(texts_source(texts), folder, MadeUpEncoder(), shard_rows=4, progress=False)


def add_texts(folder: Path, texts: Texts) -> None:
    life.add(folder, texts_source(texts), MadeUpEncoder(), shard_rows=4, progress=False)


def build_vectors(folder: Path, texts: Texts) -> None:
    gathering.SHARD_BYTES = 5 * 4 * DIM  # several shards of five rows
    life.build(vectors_of_array(np.stack([vector_of(text) for text in texts.values()])), folder, progress=False)


def delete_keys(folder: Path, *keys: str) -> None:
    life.delete(folder, selection(keys=keys))


FIRST: Texts = {f"t{number}": f"text {number}" for number in range(12)}
MORE: Texts = {**FIRST, "t3": "text 3, rewritten", **{f"u{number}": f"new {number}" for number in range(7)}}


@dataclass(frozen=True)
class Scenario:
    """From one state of an index to another: texts by key before (None: no index) and after, and how to get there."""

    name: str
    before: Texts | None
    after: Texts
    prepare: Callable[[Path], None]
    act: Callable[[Path], None]


def _prepared(folder: Path) -> None:
    build_texts(folder, FIRST)


def _grown(folder: Path) -> None:
    build_texts(folder, FIRST)
    add_texts(folder, MORE)
    delete_keys(folder, "t0", "u1")


def _less(texts: Texts, *keys: str) -> Texts:
    return {key: text for key, text in texts.items() if key not in keys}


NUMBERED: Texts = {str(row): text for row, text in enumerate(FIRST.values())}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("build", None, FIRST, lambda folder: None, lambda folder: build_texts(folder, FIRST)),
        Scenario("build from vectors", None, NUMBERED, lambda folder: None, lambda f: build_vectors(f, FIRST)),
        Scenario("add", FIRST, MORE, _prepared, lambda folder: add_texts(folder, MORE)),
        Scenario("delete", FIRST, _less(FIRST, "t1", "t2"), _prepared, lambda f: delete_keys(f, "t1", "t2")),
        Scenario("compact", _less(MORE, "t0", "u1"), _less(MORE, "t0", "u1"), _grown, life.compact),
    )
}


class Lie(AssertionError):
    """An index that is neither what it was nor what it should become, or that tells something false."""


def state_of(folder: Path) -> dict[str, int] | None:
    """Id by key of all items that are not deleted, or None for no index."""
    try:
        there = open_version(folder)
    except MissingData:
        return None
    alive = there.alive
    if not alive.any():
        return {}
    return dict(zip(there.column("key").filter(alive).to_pylist(), there.ids[alive].tolist(), strict=True))


def check_truth(folder: Path, texts: Texts) -> None:
    """Every item has the vector of its text, is found by it first, and no hit is another than it says."""
    there = open_version(folder)
    told = there.manifest
    state = state_of(folder) or {}
    if set(state) != set(texts):
        raise Lie(f"keys are {sorted(state)}, not {sorted(texts)}")
    report = verify(folder, sample=2)
    if not report.ok:
        raise Lie(f"verify says {report.problems}")
    if not state:
        return
    key_of = {number: key for key, number in state.items()}
    wanted = {key: vector_of(text) / np.linalg.norm(vector_of(text)) for key, text in texts.items()}
    searcher = Searcher(there.segments, told.dim, told.metric, there.dead, there.ids)
    scores, ids = searcher.search(np.stack([wanted[key] for key in state]), min(3, len(state)))
    for query, key in enumerate(state):
        for score, number in zip(scores[query].tolist(), ids[query].tolist(), strict=True):
            if number not in key_of:
                raise Lie(f"found id {number}, which is not there")
            if abs(float(wanted[key] @ wanted[key_of[number]]) - score) > 1e-4:
                raise Lie(f"id {number} is not {key_of[number]}")
        if ids[query, 0] != state[key]:
            raise Lie(f"{key} is not found by its own vector")


def files_on_disk(folder: Path) -> set[str]:
    """All files of an index but its lock."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return found - {"lock"}


def check_tidy(folder: Path) -> None:
    """Nothing lies about that the manifest does not name."""
    there: Snapshot = open_version(folder)
    left = files_on_disk(folder) - set(there.manifest.files) - {"manifest.json"}
    if left:
        raise Lie(f"left over: {sorted(left)}")


def forked(act: Callable[[], object]) -> int:
    """Start `act` in a child, of one thread, that ends by itself; its exit code is 3 or 4 for what was refused."""
    child = os.fork()
    if child:
        return child
    code, writing._steps = 70, 0
    try:
        signal.alarm(300)
        faiss.omp_set_num_threads(1)  # threads of the parent are not there any more
        act()
        code = 0
    except InvalidInput:
        code = 3
    except FewshotError:
        code = 4
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
