"""Two writers and a reader at once: nothing is lost, nothing is mixed, and whoever has opened a version keeps it."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from index_crashes import DONE, in_child
from index_scenarios import FIRST, add_texts, build_texts, check_truth, forked, texts_source, vector_of

from fewshot import Index
from fewshot.retrieval import build as life
from fewshot.retrieval.build.selecting import selection


@pytest.fixture
def index(tmp_path) -> Path:
    build_texts(tmp_path / "index", FIRST)
    return tmp_path / "index"


def test_two_writers_take_turns(index) -> None:
    """Each adds five items, one at a time, and deletes one of its own; all of it is there in the end."""
    from index_scenarios import MadeUpEncoder

    def writer(name: str) -> None:
        for number in range(5):
            source = texts_source({f"{name}{number}": f"{name} {number}"})
            life.add(index, source, MadeUpEncoder(), wait=60, progress=False)
        life.delete(index, selection(keys=[f"{name}0"]), wait=60)

    children = [forked(lambda name=name: writer(name)) for name in "ab"]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    left = {f"{name}{number}": f"{name} {number}" for name in "ab" for number in range(1, 5)}
    check_truth(index, {**FIRST, **left})
    assert Index.open(index).manifest.next_id == len(FIRST) + 10


def test_a_reader_beside_a_writer(index) -> None:
    """Whatever version a reader opens, each of its answers is right for that version, however long it is held."""

    def writer() -> None:
        for round_ in range(6):
            add_texts(index, {**FIRST, "x": f"round {round_}"})
            life.compact(index)

    child = forked(writer)
    held, versions = [], set()
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        reader = Index.open(index)
        versions.add(reader.manifest.generation)
        held.append(reader)
        for opened in held[-4:]:
            keys = opened.snapshot.keys(np.flatnonzero(opened.snapshot.alive))
            key = keys[len(held) % len(keys)]
            if key != "x":
                query = vector_of(FIRST[key])
                scores, ids = opened.searcher.search(query[None], 1)
                assert opened.snapshot.keys(opened.snapshot.positions(ids[0])) == [key]
                assert abs(scores[0, 0] - 1) < 1e-4
        time.sleep(0.002)
    assert len(versions) > 1
    check_truth(index, {**FIRST, "x": "round 5"})


def test_a_writer_that_is_told_leaves_nothing(index) -> None:
    from fewshot.errors import IndexLocked
    from fewshot.retrieval.store import writing_lock

    with writing_lock(index):
        before = sorted(path.name for path in index.rglob("*"))
        for act in (
            lambda: add_texts(index, {"n": "new"}),
            lambda: life.delete(index, selection(keys=["t1"])),
            lambda: life.compact(index),
        ):
            with pytest.raises(IndexLocked, match=f"written by process {os.getpid()}"):
                act()
        assert sorted(path.name for path in index.rglob("*")) == before
    assert in_child(lambda: add_texts(index, {"n": "new"})) == DONE


def test_two_builds_of_one_folder(tmp_path) -> None:
    """One of them builds; the other waits and then hears that there is an index, or is told at once."""
    children = [forked(lambda: build_texts(tmp_path / "index", FIRST)) for _ in range(2)]
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    assert codes[0] == 0
    check_truth(tmp_path / "index", FIRST)
