"""Files cut short, flipped, swapped, replaced or lost: opening refuses, verify names the file, nothing lies."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from index_scenarios import FIRST, MORE, add_texts, build_texts, delete_keys

from fewshot import Index
from fewshot.errors import FewshotError, UnreadableFile
from fewshot.retrieval import build as life
from fewshot.retrieval.store import read_manifest
from fewshot.retrieval.verify import verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An index with two segments, two shards and tombstones."""
    folder = tmp_path_factory.mktemp("whole") / "index"
    build_texts(folder, FIRST)
    add_texts(folder, MORE)
    delete_keys(folder, "t0", "u1")
    return folder


@pytest.fixture
def index(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def names(folder: Path) -> list[str]:
    return [*read_manifest(folder).files, "manifest.json"]


def check_refused(folder: Path, name: str, what: str) -> None:
    """The index does not open, and verify says so; whichever way it is asked, no answer is given."""
    with pytest.raises(FewshotError) as told:
        Index.open(folder)
    assert name.split("/")[-1] in str(told.value), (what, str(told.value))
    report = verify(folder)
    assert not report.ok, what
    assert any(name.split("/")[-1] in problem for problem in report.problems), (what, report.problems)


def test_it_is_right_before(index) -> None:
    report = verify(index)
    assert report.ok
    assert [check.name for check in report.checks] == [
        "manifest", "files", "rows", "vectors", "segments", "keys", "search", "items"
    ]  # fmt: skip


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_truncated(index, share) -> None:
    for name in names(index):
        path = index / name
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        check_refused(index, name, f"{name} cut to {share}")
        path.write_bytes(content)
    assert verify(index).ok


def test_one_bit(index) -> None:
    draw = random.Random(0)
    for name in names(index):
        path = index / name
        content = path.read_bytes()
        for place in {0, len(content) // 2, len(content) - 2, *(draw.randrange(len(content)) for _ in range(5))}:
            flipped = bytearray(content)
            flipped[place] ^= 1 << draw.randrange(8)
            path.write_bytes(flipped)
            if name == "manifest.json" and _says_the_same(flipped, content):
                assert len(Index.open(index)) == 16  # a blank became a tab: nothing else is said
                continue
            check_refused(index, name, f"{name}, a bit of byte {place}")
        path.write_bytes(content)
    assert verify(index).ok


def _says_the_same(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_bytes_at_the_end(index) -> None:
    for name in names(index):
        content = (index / name).read_bytes()
        (index / name).write_bytes(content + b"x")
        check_refused(index, name, f"{name} with a byte more")
        (index / name).write_bytes(content)


def test_lost(index) -> None:
    for name in read_manifest(index).files:
        content = (index / name).read_bytes()
        (index / name).unlink()
        check_refused(index, name, f"{name} lost")
        (index / name).write_bytes(content)


def test_swapped(index) -> None:
    """The files of two shards, or of two segments, change places."""
    for ending in (".npy", ".parquet", ".faiss"):
        one, other = [name for name in read_manifest(index).files if name.endswith(ending) and "tomb" not in name]
        first, second = (index / one).read_bytes(), (index / other).read_bytes()
        (index / one).write_bytes(second)
        (index / other).write_bytes(first)
        check_refused(index, one, f"{one} and {other} swapped")
        (index / one).write_bytes(first)
        (index / other).write_bytes(second)
    assert verify(index).ok


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".faiss", "manifest.json"])
def test_a_file_of_another_version_of_the_index(index, tmp_path, ending) -> None:
    """The classic: the vectors are of one version, the rows of another, of the same length."""
    other = tmp_path / "other"
    build_texts(other, {key: f"{text}, otherwise" for key, text in FIRST.items()})
    (mine,) = [name for name in names(index) if name.startswith(("shards/g000001", "segments/g000001", "manifest"))
               and name.endswith(ending)]  # fmt: skip
    shutil.copyfile(other / mine, index / mine)
    if ending == "manifest.json":
        with pytest.raises(UnreadableFile):
            Index.open(index)
        assert not verify(index).ok
    else:
        check_refused(index, mine, f"{mine} of another index")


def test_vectors_of_other_items_with_fitting_hashes_are_seen_by_their_source(index, monkeypatch) -> None:
    """Whoever writes vectors of the wrong items, hashes and all, is found out by embedding a sample anew."""
    from index_scenarios import MadeUpEncoder, texts_source

    from fewshot.retrieval.verify import verify as look

    source = texts_source(MORE)
    assert look(index, sample=8, source=source, backbone=MadeUpEncoder()).checks[-1].ok
    encode = MadeUpEncoder.__call__
    monkeypatch.setattr(MadeUpEncoder, "__call__", lambda self, texts, batch_size=1: encode(self, texts).roll(1, 0))
    report = look(index, sample=8, source=source, backbone=MadeUpEncoder())
    assert "another vector when it is embedded anew" in report.problems[0]


def test_faiss_never_sees_a_damaged_file(index, monkeypatch) -> None:
    import faiss

    segment = next(name for name in names(index) if name.endswith(".faiss"))
    content = bytearray((index / segment).read_bytes())
    content[40] ^= 255
    (index / segment).write_bytes(content)
    monkeypatch.setattr(faiss, "read_index", lambda *_: pytest.fail("FAISS was given a damaged file"))
    with pytest.raises(UnreadableFile, match="its content is not what was written"):
        Index.open(index)
    assert not verify(index).ok


def test_writers_refuse_a_damaged_index_and_leave_it(index) -> None:
    shard = next(name for name in names(index) if name.endswith(".npy"))
    content = (index / shard).read_bytes()
    (index / shard).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    before = sorted(path.name for path in index.rglob("*"))
    for act in (lambda: delete_keys(index, "t5"), lambda: life.compact(index), lambda: add_texts(index, FIRST)):
        with pytest.raises(UnreadableFile, match="its content is not what was written"):
            act()
    assert sorted(path.name for path in index.rglob("*")) == before
    (index / shard).write_bytes(content)
    assert verify(index).ok


def test_no_pickle(index) -> None:
    """An array of objects, which numpy would unpickle, is refused even with a fitting hash."""
    from fewshot.retrieval.store.shards import open_features

    np.save(index / "evil.npy", np.array([{"a": 1}] * 3, dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="evil"):
        open_features(index / "evil.npy", 3, 1)
