"""A disk that is full, wherever a command meets it: a clear word, the old state whole, and on it goes later."""

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest
from index_crashes import DONE, REFUSED, in_child
from index_scenarios import FIRST, MORE, add_texts, build_texts, check_truth, delete_keys, state_of

from fewshot.errors import FewshotError, InvalidInput, UnwritableFile
from fewshot.retrieval import build as life
from fewshot.retrieval.build import adding, building, compacting
from fewshot.retrieval.engine.writing import write_faiss
from fewshot.retrieval.store import writing

ROOM = 1_000_000_000_000


@pytest.fixture(autouse=True)
def _no_forecast(monkeypatch) -> None:
    """What is checked before starting would refuse first; here the write itself is to fail."""
    for module in (adding, building, compacting):
        monkeypatch.setattr(module, "disk_free", lambda path: ROOM)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path, leave: int) -> Path:
    """Fill the disk but for `leave` bytes."""
    filler = place / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - leave, 4096))
    return filler


ACTS = {
    "build": (None, FIRST, lambda folder: None, lambda folder: build_texts(folder, FIRST)),
    "add": (FIRST, MORE, lambda folder: build_texts(folder, FIRST), lambda folder: add_texts(folder, MORE)),
    "delete": (FIRST, {k: v for k, v in FIRST.items() if k != "t1"}, lambda f: build_texts(f, FIRST),
               lambda folder: delete_keys(folder, "t1")),
    "compact": ({k: v for k, v in FIRST.items() if k != "t1"}, {k: v for k, v in FIRST.items() if k != "t1"},
                lambda folder: (build_texts(folder, FIRST), delete_keys(folder, "t1")), life.compact),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_a_disk_with_little_room(small_disk, act) -> None:
    before, after, prepare, run = ACTS[act]
    folder = small_disk / "index"
    prepare(folder)
    refused, leave = 0, 0
    while True:
        filler = fill(small_disk, leave)
        try:
            run(folder)
            break
        except UnwritableFile as error:
            refused += "no space" in str(error).lower()
        finally:
            filler.unlink()
        if before is None:
            assert state_of(folder) is None
        else:
            check_truth(folder, before)
        leave += 4096
    assert refused >= 2
    check_truth(folder, after)


@pytest.mark.parametrize("act", ["build", "add"])
def test_a_limit_on_the_length_of_files(tmp_path, act) -> None:
    before, after, prepare, run = ACTS[act]
    refused = 0
    for limit in (0, 100, 300, 700, 1500, 3000, 100_000):
        folder = tmp_path / f"{act}{limit}"
        prepare(folder)

        def limited(folder=folder, limit=limit) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            run(folder)

        ended = in_child(limited)
        assert ended in (REFUSED, DONE)
        refused += ended == REFUSED
        if ended == REFUSED:
            assert state_of(folder) is None if before is None else check_truth(folder, before) is None
            run(folder)
        check_truth(folder, after)
    assert refused >= 5


def test_room_is_checked_before_starting(tmp_path, monkeypatch) -> None:
    build_texts(tmp_path / "index", FIRST)
    delete_keys(tmp_path / "index", "t1")
    for module in (adding, compacting):
        monkeypatch.setattr(module, "disk_free", lambda path: 1000)
    with pytest.raises(InvalidInput, match=r"needs about .* more on disk, and 1\.0 kB are free"):
        add_texts(tmp_path / "index", MORE)
    with pytest.raises(InvalidInput, match=r"compacting .* needs about .* on disk, and 1\.0 kB are free"):
        life.compact(tmp_path / "index")
    check_truth(tmp_path / "index", {key: text for key, text in FIRST.items() if key != "t1"})


def test_faiss_is_told_of_a_full_disk_to_the_last_byte() -> None:
    """FAISS's own writer loses its last bytes without a word there: `close error` on stderr, and no exception."""
    for rows in (0, 1, 10, 10_000):
        index = faiss.IndexFlatIP(16)
        index.add(np.ones((rows, 16), np.float32))
        with pytest.raises(OSError, match="No space left"):
            write_faiss(index, Path("/dev/full"))


def test_a_folder_that_cannot_be_flushed_leaves_the_new_state_and_says_so(tmp_path, monkeypatch) -> None:
    build_texts(tmp_path / "index", FIRST)

    def fails(path: Path) -> None:
        if path.name == "index" and not (tmp_path / "index" / "manifest.json").read_text() == before:
            raise OSError(5, "Input/output error")

    before = (tmp_path / "index" / "manifest.json").read_text()
    monkeypatch.setattr(writing, "flush", fails)
    with pytest.raises(FewshotError, match=r"manifest\.json is written, and its folder could not be flushed"):
        add_texts(tmp_path / "index", MORE)
    monkeypatch.undo()
    check_truth(tmp_path / "index", {**FIRST, **MORE})
