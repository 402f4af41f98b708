"""Build, add, delete, compact: right vectors under right ids, nothing embedded twice, bad input refused."""

import os

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

from fewshot import EmbeddingTable, Index, create_backbone
from fewshot.errors import BrokenImages, FingerprintMismatch, InvalidInput, MissingData, UnreadableFile
from fewshot.retrieval import build as life
from fewshot.retrieval.build import plan as plans
from fewshot.retrieval.sources import TextSource, open_source


class Texts:
    """A made-up text encoder that counts what it embeds, and can be made to fail."""

    name, dim = "made-up", 8

    def __init__(self, fingerprint: str = "feedface", fail_after: int = 10**9) -> None:
        self.fingerprint, self.fail_after, self.seen = fingerprint, fail_after, []

    def describe(self) -> dict:
        return {"name": self.name}

    def __call__(self, texts, batch_size=1):
        if len(self.seen) + len(texts) > self.fail_after:
            raise KeyboardInterrupt
        self.seen += texts
        return torch.from_numpy(np.stack([vector_of(text) for text in texts]))


def vector_of(text: str) -> np.ndarray:
    draw = np.random.default_rng(list(text.encode()))
    return draw.normal(size=8).astype(np.float32)


def source_of(texts: dict[str, str], **columns) -> TextSource:
    labels = [text.split()[0] for text in texts.values()]
    table = pyarrow.table(columns) if columns else None
    return TextSource("texts", list(texts.values()), list(texts), labels, table, {"kind": "memory", "name": "texts"})


def build(texts, folder, encoder=None, **how) -> Index:
    return Index.build(source_of(texts), folder, encoder or Texts(), progress=False, **how)


def check(index: Index, texts: dict[str, str]) -> None:
    """The index holds just these texts, each with its own vector, and every search tells the truth."""
    rows = np.flatnonzero(index.snapshot.alive)
    keys = index.snapshot.keys(rows)
    assert sorted(keys) == sorted(texts)
    wanted = np.stack([vector_of(texts[key]) for key in keys])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.allclose(index.snapshot.vectors(rows), wanted, atol=1e-6)
    scores, ids = index.searcher.search(wanted, min(3, len(keys)))
    assert ids[:, 0].tolist() == index.snapshot.ids[rows].tolist()
    assert np.allclose(scores[:, 0], 1, atol=1e-5)
    assert index.verify().ok, index.verify().problems


@pytest.fixture
def texts() -> dict[str, str]:
    return {f"t{number}": f"{'even' if number % 2 == 0 else 'odd'} {number}" for number in range(20)}


def test_build(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index", columns=None)
    check(index, texts)
    assert index.snapshot.ids.tolist() == list(range(20))
    assert index.snapshot.column("label").to_pylist() == ["even", "odd"] * 10
    assert sorted(os.listdir(tmp_path / "index")) == ["lock", "manifest.json", "segments", "shards"]
    told = index.info()
    assert (told["items"], told["dim"], told["backbone"], told["fingerprint"]) == (20, 8, "made-up", "feedface")
    assert told["measured"]["recall"] == 1
    assert np.allclose(index.vector(3), index.vectors([3, 4])[0])
    with pytest.raises(InvalidInput, match="no item with the id 20"):
        index.vector(20)


def test_what_was_embedded_before_a_stop_is_not_embedded_again(tmp_path, texts) -> None:
    stopped = Texts(fail_after=12)
    with pytest.raises(KeyboardInterrupt):
        build(texts, tmp_path / "index", stopped, shard_rows=4)
    with pytest.raises(MissingData, match="its build was not finished"):
        Index.open(tmp_path / "index")
    texts = {"new": "odd first", **texts, "t3": "odd 3, changed"}  # the source may change meanwhile
    again = Texts()
    index = build(texts, tmp_path / "index", again, shard_rows=4)
    assert len(stopped.seen) == 12
    assert set(again.seen) == {"odd first", "odd 3, changed", *(texts[f"t{number}"] for number in range(12, 20))}
    check(index, texts)
    assert index.snapshot.column("key").to_pylist() == list(texts)  # in the order of the source, as if never stopped
    assert not (tmp_path / "index" / "work").exists()


def test_a_finished_shard_that_was_damaged_is_embedded_again(tmp_path, texts) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(texts, tmp_path / "index", Texts(fail_after=12), shard_rows=4)
    damaged = sorted((tmp_path / "index" / "work").glob("*.npy"))[0]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    again = Texts()
    check(build(texts, tmp_path / "index", again, shard_rows=4), texts)
    assert len(again.seen) == 12


def test_work_of_another_backbone_is_neither_mixed_nor_thrown_away(tmp_path, texts) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(texts, tmp_path / "index", Texts(fail_after=12), shard_rows=4)
    with pytest.raises(InvalidInput, match=r"work under way by another backbone \(feedface, 8 values\)"):
        build(texts, tmp_path / "index", Texts("other"), shard_rows=4)
    other = Texts("other")
    build(texts, tmp_path / "index", other, shard_rows=4, restart=True)
    assert len(other.seen) == 20


def test_add_embeds_what_is_new_or_has_changed(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    texts |= {"t5": "odd 5, changed", "u": "odd one more"}
    encoder = index._backbone = Texts()
    added = index.add(source_of(texts))
    assert (added.added, added.changed, added.unchanged, added.broken) == (2, 1, 19, ())
    assert sorted(encoder.seen) == ["odd 5, changed", "odd one more"]
    check(index, texts)
    assert index.snapshot.ids.tolist() == list(range(22))
    assert index.snapshot.dead.tolist() == [5]
    again = index.add(source_of(texts))
    assert (again.added, again.unchanged, index.manifest.generation) == (0, 21, 2)
    assert len(encoder.seen) == 2


def test_an_add_that_was_stopped_goes_on(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    more = {**texts, **{f"u{number}": f"odd {number} more" for number in range(10)}}
    with pytest.raises(KeyboardInterrupt):
        life.add(index.folder, source_of(more), Texts(fail_after=8), shard_rows=4, progress=False)
    check(Index.open(index.folder), texts)
    index.delete(ids=[0])  # another change in between
    del more["t0"], texts["t0"]
    encoder = index._backbone = Texts()
    index.add(source_of(more), shard_rows=4)
    assert len(encoder.seen) == 2
    check(index, more)


def test_ids_are_never_used_again(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    assert index.delete(ids=[18, 19]) == 2
    assert index.compact()
    assert index.snapshot.ids.tolist() == list(range(18))
    index.add(source_of(texts))
    assert index.snapshot.ids.tolist() == [*range(18), 20, 21]
    check(index, texts)
    assert index.delete(keys=list(texts)) == 20
    assert len(index) == 0
    assert index.compact()
    assert index.verify().ok
    index.add(source_of(texts))
    assert index.snapshot.ids.tolist() == list(range(22, 42))
    check(index, texts)


def test_delete(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    before = set((tmp_path / "index" / "segments").iterdir()) | set((tmp_path / "index" / "shards").iterdir())
    assert index.delete(keys=["t3", "t4"]) == 2
    assert index.delete(ids=[7]) == 1
    for gone in ("t3", "t4", "t7"):
        texts.pop(gone)
    check(index, texts)
    after = set((tmp_path / "index" / "segments").iterdir()) | set((tmp_path / "index" / "shards").iterdir())
    assert before == after  # nothing but the tombstones was written
    assert len(list((tmp_path / "index" / "tombstones").iterdir())) == 1
    for wrong, told in (
        ({"ids": [7]}, "no item with the id 7"),
        ({"ids": [5, 99]}, "no item with the id 99"),
        ({"keys": ["t5", "nothing"]}, "no item called nothing"),
        ({}, "one of the three"),
        ({"ids": [1], "keys": ["t1"]}, "one of the three"),
    ):
        with pytest.raises(InvalidInput, match=told):
            index.delete(**wrong)
    check(Index.open(index.folder), texts)
    index._backbone = Texts()
    added = index.add(source_of({**texts, "t3": "odd 3", "t7": "odd 7"}))  # what was deleted may come back
    assert (added.added, added.changed, added.unchanged) == (2, 0, 17)
    assert index.snapshot.ids.tolist() == list(range(22))
    check(index, {**texts, "t3": "odd 3", "t7": "odd 7"})


def test_compact_gives_room_back_and_keeps_ids(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    assert not index.compact()
    more = {**texts, "u": "odd one more"}
    index._backbone = Texts()
    index.add(source_of(more))
    index.delete(ids=list(range(10)))
    rest = {key: more[key] for key in list(more)[10:]}
    size = index.info()["bytes"]
    assert index.compact()
    assert index.info()["bytes"] < size
    assert index.snapshot.ids.tolist() == list(range(10, 21))
    assert (len(index.manifest.segments), index.manifest.tombstones) == (1, None)
    check(index, rest)
    assert {path.name for path in (tmp_path / "index" / "segments").iterdir()} == {"g000004.faiss"}


@pytest.mark.parametrize("how", ["fingerprint", "unknown", "dim"])
def test_vectors_of_different_backbones_do_not_mix(tmp_path, texts, how) -> None:
    index = build(texts, tmp_path / "index")
    if how == "fingerprint":
        with pytest.raises(FingerprintMismatch, match=r"made-up \(feedface\), .*made-up \(other\)"):
            life.add(index.folder, source_of({"n": "odd"}), Texts("other"), progress=False)
        with pytest.raises(FingerprintMismatch, match="made by made-up"):
            _ = Index.open(index.folder, Texts("other")).backbone
    elif how == "unknown":
        with pytest.raises(FingerprintMismatch, match="an unknown backbone"):
            index.add(np.ones((2, 8), np.float32))
    else:
        plain = Index.build(np.random.default_rng(0).normal(size=(20, 4)), tmp_path / "plain", progress=False)
        with pytest.raises(InvalidInput, match="vectors of 4 values, and these have 5"):
            plain.add(np.ones((2, 5), np.float32))
        with pytest.raises(InvalidInput, match="an unknown backbone"):
            _ = plain.backbone
    check(Index.open(index.folder), texts)


def test_bad_wishes_leave_nothing(tmp_path, texts, monkeypatch) -> None:
    folder = tmp_path / "index"
    for how, told in (
        ({"recall": 0}, "recall must be above 0"),
        ({"recall": 1.2}, "at most 1, found 1.2"),
        ({"k": 0}, "k must be 1 or more"),
        ({"memory": 0}, "memory must be 1 byte or more"),
        ({"metric": "hamming"}, "metric must be one of cosine"),
        ({"index": "Nonsense7"}, "Nonsense7"),
        ({"memory": 100, "index": "Flat"}, "memory"),
        ({"columns": ["year"]}, "texts has no column year; it has none"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
    ):
        with pytest.raises(InvalidInput, match=told):
            build(texts, folder, **how)
        assert not folder.exists()
    monkeypatch.setattr(plans, "disk_free", lambda path: 1000)
    monkeypatch.setattr("fewshot.retrieval.build.building.disk_free", lambda path: 1000)
    with pytest.raises(InvalidInput, match=r"needs about .* on disk, and 1\.0 kB are free"):
        build(texts, folder)
    assert not folder.exists()


def test_an_unknown_way_to_take_items_in_is_named(tmp_path) -> None:
    vectors = np.eye(8, dtype=np.float32)
    with pytest.raises(
        TypeError, match="how items come into an index has no 'batchsize'; it has columns, .*batch_size"
    ):
        Index.build(vectors, tmp_path / "an.index", batchsize=3)
    assert not (tmp_path / "an.index").exists()


def test_a_plan_can_be_refused(tmp_path, texts) -> None:
    seen = []
    with pytest.raises(InvalidInput, match="the plan was refused"):
        build(texts, tmp_path / "index", confirm=seen.append)
    assert not (tmp_path / "index").exists()
    told = seen[0].to_json()
    assert (told["vectors"], told["dim"], told["vector_bytes"], told["index"]) == (20, 8, 640, "Flat")
    assert told["disk_free"] > told["disk_bytes"] > 640


def test_a_folder_that_is_taken(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    with pytest.raises(InvalidInput, match="is an index already; add to it"):
        build(texts, tmp_path / "index")
    check(index, texts)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(InvalidInput, match=r"holds other files \(thesis\.tex\)"):
        build(texts, tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]
    with pytest.raises(InvalidInput, match="is a file"):
        build(texts, tmp_path / "mine" / "thesis.tex")


@pytest.mark.parametrize(("value", "told"), [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (0, "are zero")])
def test_vectors_that_no_search_would_find_right(tmp_path, value, told) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    vectors[[7, 9]] = value
    with pytest.raises(InvalidInput, match=rf"vectors of 2 items .*{told}.*: 7, 9"):
        Index.build(vectors, tmp_path / "index", progress=False)
    with pytest.raises(MissingData):
        Index.open(tmp_path / "index")
    vectors[[7, 9]] = 1
    assert len(Index.build(vectors, tmp_path / "index", progress=False)) == 30
    if value == 0:
        vectors[3] = 0
        assert len(Index.build(vectors, tmp_path / "l2", metric="l2", progress=False)) == 30


def test_columns(tmp_path, texts) -> None:
    year = list(range(2000, 2020))
    source = source_of(texts, year=year, colour=["red"] * 20)
    index = Index.build(source, tmp_path / "index", Texts(), columns=["year"], progress=False)
    assert index.manifest.columns == {"year": "int64"}
    assert index.snapshot.column("year").to_pylist() == year
    index._backbone = Texts()
    index.add(source_of({"u": "odd u"}))
    assert index.snapshot.column("year").to_pylist() == [*year, None]
    with pytest.raises(InvalidInput, match=r"the column 'colour', which the index has not; it has year"):
        index.add(source_of({"v": "odd v"}, colour=["red"]))
    with pytest.raises(InvalidInput, match="the column 'year' of texts does not fit the index, where it is int64"):
        index.add(source_of({"v": "odd v"}, year=["some time"]))
    index.add(source_of({"v": "odd v"}, year=pyarrow.array([7], pyarrow.int8()), colour=["red"]), columns=["year"])
    index.delete(ids=[0])
    index.compact()
    assert index.snapshot.column("year").to_pylist() == [*year[1:], None, 7]


@pytest.fixture(scope="module")
def pixels():
    return create_backbone("fewshot:raw-pixels", device="cpu")


@pytest.fixture
def photos(tmp_path):
    noise = np.random.default_rng(0)
    for name in ("ant/0", "ant/1", "bee/0", "bee/1", "loose"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_pictures_have_the_vectors_that_the_backbone_gives(tmp_path, photos, pixels) -> None:
    index = Index.build(photos, tmp_path / "index", pixels, progress=False, workers=0)
    keys = index.snapshot.column("key").to_pylist()
    assert keys == ["ant/0.png", "ant/1.png", "bee/0.png", "bee/1.png", "loose.png"]
    for row, key in enumerate(keys):
        plain = pixels(pixels.preprocess(Image.open(photos / key))[None])[0].numpy()
        assert np.allclose(index.vector(row), plain / np.linalg.norm(plain), atol=1e-6)
    assert index.snapshot.column("label").to_pylist() == ["ant", "ant", "bee", "bee", None]
    (items,) = [check for check in index.verify(sample=5).checks if check.name == "items"]
    assert (items.ok, items.told) == (True, "5 embedded anew, the cosine is 1.00000 or more")


def test_broken_pictures_are_all_named_and_left_out_when_told(tmp_path, photos, pixels) -> None:
    whole = (photos / "ant/1.png").read_bytes()
    (photos / "ant/1.png").write_bytes(whole[:300])
    (photos / "bee/0.png").write_text("not a picture")
    (photos / "empty.png").touch()
    with pytest.raises(
        BrokenImages, match=r"3 images cannot be read: ant/1.png, bee/0.png, empty.png; .*--skip-broken"
    ):
        Index.build(photos, tmp_path / "index", pixels, progress=False, workers=0)
    with pytest.raises(MissingData):
        Index.open(tmp_path / "index")
    index = Index.build(photos, tmp_path / "index", pixels, progress=False, workers=0, skip_broken=True)
    assert index.snapshot.column("key").to_pylist() == ["ant/0.png", "bee/1.png", "loose.png"]
    with pytest.raises(BrokenImages, match="3 images cannot be read"):
        index.add(photos, workers=0)
    (photos / "ant/1.png").write_bytes(whole)
    added = index.add(photos, workers=0, skip_broken=True)
    assert (added.added, added.unchanged, added.broken) == (1, 3, ("bee/0.png", "empty.png"))
    (photos / "all").mkdir()
    (photos / "all" / "x.png").touch()
    with pytest.raises(MissingData, match="none of its 1 items can be read"):
        Index.build(photos / "all", tmp_path / "none", pixels, progress=False, workers=0, skip_broken=True)


def test_the_wrong_kind_of_backbone(tmp_path, photos, pixels, texts) -> None:
    with pytest.raises(InvalidInput, match=r"raw-pixels knows no words, and texts holds texts"):
        Index.build(source_of(texts), tmp_path / "index", pixels)
    with pytest.raises(InvalidInput, match="made-up embeds texts, and photos holds pictures"):
        Index.build(photos, tmp_path / "index", Texts())
    with pytest.raises(InvalidInput, match="photos holds images; give a backbone"):
        Index.build(photos, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_table_brings_its_backbone_along(tmp_path) -> None:
    table = EmbeddingTable(
        torch.randn(30, 4), torch.arange(30) % 3, ("a", "b", "c"), tuple(f"i{row}" for row in range(30)),
        backbone="f00d", provenance={"backbone": {"name": "timm:some"}},
    )  # fmt: skip
    index = Index.build(table, tmp_path / "index", progress=False)
    assert index.info()["fingerprint"] == "f00d"
    assert open_source(table).keys == tuple(index.snapshot.column("key").to_pylist())
    other = EmbeddingTable(table.features, table.labels, table.class_names, table.ids, backbone="beef")
    with pytest.raises(FingerprintMismatch, match=r"timm:some \(f00d\)"):
        index.add(other)


def test_the_face_delegates(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    found = index.search("even 4", k=3, where="label = 'even'")
    assert (found.keys[0], len(found)) == ("t4", 3)
    assert index.range_search("even 4", 0.999).keys == ["t4"]
    assert index.near("even 4", nearest=1) == [4]
    assert index.near("even 4", threshold=0.999) == [4]
    assert len(index.duplicates(0.9999)) == 0
    assert index.classify(np.asarray(index.vector(3))).name == "odd"
    assert index.as_learner().metric == "cosine"
    assert index.export("table", tmp_path / "table", progress=False).rows == 20
    with pytest.raises(InvalidInput, match="one of the two"):
        index.near("even 4")


def test_a_key_that_another_source_uses_for_something_else(tmp_path, texts) -> None:
    index = build(texts, tmp_path / "index")
    other = TextSource("others", ["even 0", "odd 1, of others"], ["t0", "t1"], [None] * 2, None, {"kind": "memory"})
    index._backbone = Texts()
    with pytest.raises(InvalidInput, match=r"1 keys of others are in the index for other items \(t1\).*--replace"):
        index.add(other)
    check(index, texts)
    assert index.add(other, replace=True).changed == 1
    check(index, {**texts, "t1": "odd 1, of others"})
    more = TextSource("more", ["odd new"], ["n"], [None], None, {"kind": "memory", "path": "/more"})
    assert index.add(more).added == 1
    assert index.info()["source"]["added"] == [{"kind": "memory"}, {"kind": "memory", "path": "/more"}]
    more.texts = ["odd newer"]
    assert index.add(more).changed == 1  # known by now, so its item has changed
    plain = Index.build(np.eye(20, 4) + 1, tmp_path / "plain", progress=False)
    with pytest.raises(InvalidInput, match="20 keys of the array are in the index for other items"):
        plain.add(np.eye(20, 4) + 2)


def test_work_that_is_damaged_is_told_and_can_be_thrown_away(tmp_path, texts) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(texts, tmp_path / "index", Texts(fail_after=12), shard_rows=4)
    (tmp_path / "index" / "work" / "ledger.json").write_text('{"format": "fewshot-ledger", "version": 7}')
    with pytest.raises(UnreadableFile, match=r"ledger\.json is damaged: version must be a whole number from 1 to 1"):
        build(texts, tmp_path / "index")
    check(build(texts, tmp_path / "index", restart=True), texts)


def test_verify_looks_into_every_source(tmp_path, photos, pixels) -> None:
    index = Index.build(photos / "ant", tmp_path / "index", pixels, progress=False, workers=0)
    (photos / "bee" / "0.png").rename(photos / "bee" / "b0.png")
    (photos / "bee" / "1.png").rename(photos / "bee" / "b1.png")
    index.add(photos / "bee", workers=0)
    assert index.verify(sample=9).checks[-1].told == "4 embedded anew, the cosine is 1.00000 or more"
    (photos / "bee" / "b0.png").unlink()
    assert index.verify(sample=9).checks[-1].told.endswith("; 1 have changed or are gone")
    assert index.verify(sample=9, source=photos / "ant").checks[-1].told.endswith("; 2 have changed or are gone")
    assert index.verify(sample=0).checks[-1].ok is None


def test_a_recall_that_cannot_be_reached_leaves_the_work_and_nothing_else(tmp_path) -> None:
    many = {f"t{number}": f"odd {number}" for number in range(400)}
    folder = tmp_path / "index"
    with pytest.raises(InvalidInput, match=r"recall 0\.99 at 10 can't be reached"):
        build(many, folder, index="IVF4,PQ2x4", recall=0.99)
    assert not [path for path in folder.rglob("*") if path.is_file() and path.parent.name in ("shards", "segments")]
    encoder = Texts()
    index = build(many, folder, encoder, index="IVF4,PQ2x4,RFlat", recall=0.99)
    assert not encoder.seen
    assert index.info()["measured"]["recall"] >= 0.99
    assert index.info()["measured"]["queries"] == 40  # half of those held out, which took no part in the tuning
    check(index, many)


def test_where_there_is_no_index_nothing_is_made(tmp_path) -> None:
    nowhere = tmp_path / "nowhere"
    for act in (
        lambda: life.add(nowhere, source_of({"a": "odd"}), Texts()),
        lambda: life.delete(nowhere, lambda there: there.ids),
        lambda: life.compact(nowhere),
        lambda: Index.open(nowhere),
    ):
        with pytest.raises(MissingData, match="is not an index"):
            act()
    assert not nowhere.exists()
