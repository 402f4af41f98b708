"""What lies on disk: manifests that are not trusted, one writer at a time, versions that readers keep."""

import json
import os
import signal
import time

import numpy as np
import pytest

from fewshot.errors import IndexLocked, InvalidInput, MissingData, UnreadableFile, UnwritableFile
from fewshot.retrieval import build as life
from fewshot.retrieval.build.selecting import selection
from fewshot.retrieval.sources.vectors import vectors_of_array
from fewshot.retrieval.store import open_version, read_manifest, writing, writing_lock
from fewshot.retrieval.store.manifest import content_hash


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, vectors):
    life.build(vectors_of_array(vectors), tmp_path / "index", progress=False)
    return tmp_path / "index"


def change(folder, path: str, value) -> None:
    """Set a field of the manifest, by a path such as `shards.0.rows`, and make its hash fit."""
    content = json.loads((folder / "manifest.json").read_text())
    *above, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    place = content
    for part in above:
        place = place[part]
    place[last] = value
    content["sha256"] = content_hash(content)
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("version", "1"),
        ("format", "something"),
        ("generation", 0),
        ("generation", True),
        ("dim", 0),
        ("dim", 1e3),
        ("metric", "manhattan"),
        ("next_id", 59),
        ("next_id", -1),
        ("rows", 61),
        ("backbone", None),
        ("backbone.fingerprint", 7),
        ("source", []),
        ("columns", {"year": 3}),
        ("shards", {}),
        ("shards", []),
        ("shards.0.name", "../../etc/passwd"),
        ("shards.0.name", "/etc/passwd"),
        ("shards.0.name", ".."),
        ("shards.0.name", "a/b"),
        ("shards.0.rows", 59),
        ("shards.0.rows", -60),
        ("shards.0.first_id", 1),
        ("shards.0.files", {}),
        ("shards.0.files", {"../x.npy": {"bytes": 1, "sha256": "0" * 64}}),
        ("segments.0.name", "x\\y"),
        ("segments.0.rows", 1),
        ("segments.0.shards", []),
        ("segments.0.shards", ["other"]),
        ("segments.0.files", {"g000001.faiss": {"bytes": -1, "sha256": "0" * 64}}),
        ("segments.0.files", {"g000001.faiss": {"bytes": 1, "sha256": "Z" * 64}}),
        ("tombstones", {"name": "t", "rows": 100, "files": {"t.npy": {"bytes": 1, "sha256": "0" * 64}}}),
        ("tombstones", {"name": "../t", "rows": 1, "files": {}}),
    ],
)
def test_a_manifest_is_checked_field_by_field(folder, path, value) -> None:
    change(folder, path, value)
    with pytest.raises(UnreadableFile, match=r"manifest\.json"):
        read_manifest(folder)


def test_a_manifest_that_was_edited_is_refused(folder) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"recall_target": 0.95', '"recall_target": 0.15'))
    with pytest.raises(UnreadableFile, match="not what was written"):
        read_manifest(folder)
    (folder / "manifest.json").write_text(json.dumps(json.loads(text)))  # another layout says the same
    assert read_manifest(folder).rows == 60


def test_a_later_version_is_refused(folder) -> None:
    change(folder, "version", 99)
    with pytest.raises(UnreadableFile, match="version 99, this fewshot reads up to 1|from 1 to"):
        read_manifest(folder)


def test_what_is_no_index(tmp_path) -> None:
    with pytest.raises(MissingData, match="is not an index"):
        open_version(tmp_path)
    (tmp_path / "work").mkdir()
    with pytest.raises(MissingData, match="its build was not finished"):
        open_version(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UnreadableFile, match="not readable JSON"):
        open_version(tmp_path)


def test_a_reader_keeps_its_version(folder, vectors) -> None:
    reader = open_version(folder)
    life.delete(folder, selection(ids=range(30)))
    life.compact(folder)
    assert len(reader) == 60
    assert reader.column("key").to_pylist() == [str(row) for row in range(60)]  # read from files that are gone
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(reader.vectors(np.arange(60)), unit, atol=1e-6)
    assert len(open_version(folder)) == 30


def test_a_reader_that_loses_the_race_takes_the_new_version(folder, monkeypatch) -> None:
    from fewshot.retrieval.store import snapshot

    check, raced = snapshot.check_files, []

    def late(*arguments):
        check(*arguments)
        if not raced:
            raced.append(True)
            life.delete(folder, selection(ids=[3]))
            life.compact(folder)

    monkeypatch.setattr(snapshot, "check_files", late)
    assert len(open_version(folder)) == 59


def test_ids_that_are_not_there(folder) -> None:
    life.delete(folder, selection(ids=[4]))
    there = open_version(folder)
    with pytest.raises(InvalidInput, match="no item with the id 4, 60, -1"):
        there.positions([4, 5, 60, -1])
    with pytest.raises(InvalidInput, match=r"no column 'year'; it has id, key, label"):
        there.column("year")


def test_the_second_writer_is_told(folder) -> None:
    with writing_lock(folder):
        start = time.monotonic()
        with pytest.raises(IndexLocked, match=rf"written by process {os.getpid()} \(.+\), since 20"):
            life.delete(folder, selection(ids=[1]))
        assert time.monotonic() - start < 2
        with pytest.raises(IndexLocked, match="0.2 s of waiting were not enough"):
            life.delete(folder, selection(ids=[1]), wait=0.2)
    assert len(life.delete(folder, selection(ids=[1]))) == 1


def test_the_second_writer_waits(folder) -> None:
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        with writing_lock(folder):
            os.write(go, b"x")
            time.sleep(0.5)
        os._exit(0)
    os.read(ready, 1)
    assert len(life.delete(folder, selection(ids=[1]), wait=20)) == 1
    os.waitpid(child, 0)


def test_a_worker_that_outlives_a_killed_writer_does_not_hold_its_lock(folder) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with writing_lock(folder):
            worker = os.fork()
            if worker == 0:
                os.write(tell, os.getpid().to_bytes(4, "little"))
                time.sleep(30)
                os._exit(0)
            time.sleep(30)
    worker = int.from_bytes(os.read(told, 4), "little")
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert len(life.delete(folder, selection(ids=[1]))) == 1
    finally:
        os.kill(worker, signal.SIGKILL)


def test_hashes_are_checked_once(folder, monkeypatch) -> None:
    from fewshot.retrieval.store import hashes

    looked = []
    note_of = hashes.note_of
    monkeypatch.setattr(hashes, "note_of", lambda path: looked.append(path.name) or note_of(path))
    open_version(folder)
    assert not looked  # the writer knew them
    segment = next((folder / "segments").iterdir())
    os.utime(segment)
    open_version(folder)
    assert looked == [segment.name]
    open_version(folder)
    assert looked == [segment.name]


def test_bytes_that_change_are_seen_and_lengths_alone_do_not_show_them(folder) -> None:
    segment = next((folder / "segments").iterdir())
    content = bytearray(segment.read_bytes())
    content[-20] ^= 1
    segment.write_bytes(content)
    with pytest.raises(UnreadableFile, match=rf"{segment.name} is damaged: its content is not what was written"):
        open_version(folder)
    assert len(open_version(folder, verify="sizes")) == 60
    with pytest.raises(InvalidInput, match="verify must be one of hashes, sizes"):
        open_version(folder, verify="nothing")


def test_steps_come_in_an_order_that_a_power_cut_survives(tmp_path, vectors, monkeypatch) -> None:
    """A file is flushed before it gets its name, all files before the manifest, and nothing goes before it is kept."""
    taken: list[tuple[str, str]] = []
    flush = writing.flush
    monkeypatch.setattr(writing, "step", lambda name, path: taken.append((name, path.name)))
    monkeypatch.setattr(writing, "flush", lambda path: taken.append(("fsync", path.name)) or flush(path))
    for act in ("build", "add", "delete", "compact"):
        taken.clear()
        folder = tmp_path / "index"
        if act == "build":
            life.build(vectors_of_array(vectors[:40]), folder, progress=False)
        elif act == "add":
            life.add(folder, vectors_of_array(vectors), progress=False)
        elif act == "delete":
            life.delete(folder, selection(ids=[3, 5]))
        else:
            life.compact(folder)
        renamed = [name for step, name in taken if step == "renamed"]
        assert renamed[-1] == "manifest.json"
        assert renamed.count("manifest.json") == 1
        published = taken.index(("kept", "manifest.json"))
        for name in renamed:
            mine = [step for step, path in taken if path == name or path.startswith(f".{name}.")]
            order = ["to write", "written", "fsync", "flushed", "renamed", "kept"]
            assert [step for step in mine if step in order] == order
            at = taken.index(("renamed", name))
            assert taken[at + 1][0] == "fsync"  # of the folder
            assert taken[at + 2] == ("kept", name)
            assert taken.index(("kept", name)) <= published
        assert all(at > published for at, (step, _) in enumerate(taken) if step in ("to remove", "removed"))


def test_a_write_that_fails_leaves_what_was_there(tmp_path) -> None:
    (tmp_path / "note.json").write_text("1")
    told = r"note\.json cannot be written: No space left on device; what was there"
    with pytest.raises(UnwritableFile, match=told), writing.new_file(tmp_path / "note.json") as beside:
        beside.write_text("2")
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]
    assert (tmp_path / "note.json").read_text() == "1"
