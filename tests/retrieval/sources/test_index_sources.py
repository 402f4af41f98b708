"""What an index is built from: every kind of source, its keys, labels, columns and hashes, and what is refused."""

import json
import tarfile
import zipfile
from io import BytesIO

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from fewshot import EmbeddingTable, load_dataset
from fewshot.errors import FewshotWarning, InvalidInput, MissingData, UnreadableFile
from fewshot.retrieval.sources import open_source, reopen_source


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def pixels_of(source, row: int) -> np.ndarray:
    return np.asarray(source.images[row])


@pytest.fixture
def photos(tmp_path):
    for place, name in enumerate(("mug/2.png", "mug/10.png", "cup/1.png", "loose.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(picture(place))
    return tmp_path / "photos"


def test_a_folder(photos) -> None:
    source = open_source(photos)
    assert source.keys == ["cup/1.png", "loose.png", "mug/2.png", "mug/10.png"]
    assert source.labels == ["cup", None, "mug", "mug"]
    assert np.array_equal(pixels_of(source, 2), np.asarray(Image.open(photos / "mug/2.png")))
    hashes = source.hashes(range(4))
    assert len(set(hashes)) == 4
    (photos / "mug/2.png").write_bytes(picture(9))
    again = source.hashes(range(4))
    assert [a == b for a, b in zip(hashes, again, strict=True)] == [True, True, False, True]
    assert reopen_source(source.described).keys == source.keys


def test_a_folder_without_classes_and_other_files(photos) -> None:
    (photos / "notes.txt").write_text("x")
    with pytest.warns(FewshotWarning, match=r"1 files that are no pictures were left out: notes\.txt"):
        source = open_source(photos)
    assert len(source) == 4
    flat = photos / "mug"
    assert open_source(flat).labels == [None, None]


def test_files_that_cannot_be_read_have_no_hash(photos) -> None:
    source = open_source(photos)
    (photos / "loose.png").unlink()
    assert [found is None for found in source.hashes(range(4))] == [False, True, False, False]


def test_a_zip(photos) -> None:
    (photos / "loose.png").unlink()
    path = photos.parent / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, f"photos/{file.relative_to(photos)}")
    source, folder = open_source(path), open_source(photos)
    assert source.keys == [f"photos/{key}" for key in folder.keys]
    assert source.labels == folder.labels
    assert np.array_equal(pixels_of(source, 2), pixels_of(folder, 2))


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "shards" / f"{number:05d}.tar", "w") as tar:
            for sample in range(3):
                name = f"{number}{sample:03d}"
                for ending, content in (
                    ("png", picture(10 * number + sample)),
                    ("txt", f"a picture {name}".encode()),
                    ("cls", f"class {sample % 2}".encode()),
                    ("json", json.dumps({"width": 12 + sample, "url": f"http://x/{name}", "deep": {}}).encode()),
                ):
                    member = tarfile.TarInfo(f"{name}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))
    return tmp_path / "shards"


def test_tar_shards(shards) -> None:
    source = open_source(shards)
    assert list(source.keys)[:2] == ["00000.tar/0000.png", "00000.tar/0001.png"]
    assert source.labels == ["class 0", "class 1", "class 0"] * 2
    assert source.columns["caption"].to_pylist()[4] == "a picture 1001"
    assert source.columns["width"].to_pylist() == [12, 13, 14] * 2
    assert set(source.columns.column_names) == {"caption", "width", "url"}
    assert np.array_equal(pixels_of(source, 4), np.asarray(Image.open(BytesIO(picture(11)))))
    assert len(set(source.hashes(range(6)))) == 6
    assert len(open_source(shards / "00001.tar")) == 3


def test_a_tar_that_is_cut_short_or_compressed(shards) -> None:
    whole = (shards / "00000.tar").read_bytes()
    (shards / "00000.tar").write_bytes(whole[:700])
    with pytest.raises(UnreadableFile, match=r"00000\.tar is not a readable tar .*cut short"):
        open_source(shards)
    import gzip

    (shards / "00000.tar").write_bytes(gzip.compress(whole))
    with pytest.raises(UnreadableFile, match=r"00000\.tar is not a readable tar .*unpack it first"):
        open_source(shards)


def test_a_parquet_of_paths(photos) -> None:
    table = pyarrow.table(
        {"image": ["mug/2.png", "cup/1.png"], "label": ["mug", "cup"], "year": [2019, 2021], "id": [7, 8]}
    )
    parquet.write_table(table, photos / "list.parquet")
    source = open_source(photos / "list.parquet")
    assert list(source.keys) == ["mug/2.png", "cup/1.png"]
    assert source.labels == ["mug", "cup"]
    assert source.columns.column_names == ["year", "source_id"]
    assert np.array_equal(pixels_of(source, 1), np.asarray(Image.open(photos / "cup/1.png")))
    with pytest.raises(InvalidInput, match=r"no column 'place'; it has image, label, year, id|no column 'place'"):
        open_source(photos / "list.parquet", paths="place")
    parquet.write_table(table.drop(["image"]), photos / "bare.parquet")
    with pytest.raises(InvalidInput, match=r"no column of paths .*found label, year, id; .*--texts"):
        open_source(photos / "bare.parquet")
    parquet.write_table(pyarrow.table({"path": ["a.png", "a.png"]}), photos / "twice.parquet")
    with pytest.raises(InvalidInput, match=r"the key 'a\.png' is there more than once"):
        open_source(photos / "twice.parquet")


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_of_texts(tmp_path, ending) -> None:
    table = pyarrow.table({"id": ["a", "b"], "caption": ["a red mug", "a cup, blue"], "label": ["mug", None]})
    path = tmp_path / f"texts.{ending}"
    if ending == "parquet":
        parquet.write_table(table, path)
    else:
        lines = ["id,caption,label", "a,a red mug,mug", 'b,"a cup, blue",']
        tabs = ["id\tcaption\tlabel", "a\ta red mug\tmug", "b\ta cup, blue\t"]
        path.write_text("\n".join(lines if ending == "csv" else tabs) + "\n")
    source = open_source(path, texts="caption")
    assert list(source.texts) == ["a red mug", "a cup, blue"]
    assert list(source.keys) == ["a", "b"]
    assert source.labels[0] == "mug"
    assert len(set(source.hashes([0, 1]))) == 2
    with pytest.raises(InvalidInput, match=r"no column 'text'; it has id, caption, label"):
        open_source(path, texts="text")


def test_texts_that_are_empty_and_keys_that_are_not_unique(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("id,caption\n1,one\n1,two\n")
    assert list(open_source(tmp_path / "a.csv", texts="caption").keys) == ["0", "1"]
    parquet.write_table(pyarrow.table({"caption": ["one", None, ""]}), tmp_path / "b.parquet")
    with pytest.raises(InvalidInput, match=r"the column 'caption' has no text in row 1, 2 \(from 0\)"):
        open_source(tmp_path / "b.parquet", texts="caption")
    with pytest.raises(InvalidInput, match="texts come from a column"):
        open_source(tmp_path, texts="caption")


def test_an_embedding_table(tmp_path) -> None:
    table = EmbeddingTable(
        torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 2]), ("ant", "bee", "cow"), tuple("abcde"), backbone="f00d",
        provenance={"backbone": {"name": "timm:some"}},
    )  # fmt: skip
    table.save(tmp_path / "table")
    for source in (open_source(table), open_source(tmp_path / "table")):
        assert list(source.keys) == list("abcde")
        assert source.labels == ["ant", "bee", "bee", "ant", "cow"]
        assert (source.backbone["fingerprint"], source.backbone["name"]) == ("f00d", "timm:some")
        assert np.array_equal(source.take(np.array([1, 2, 4])), table.features[[1, 2, 4]].numpy())
    assert reopen_source(open_source(tmp_path / "table").described) is not None


def test_arrays(tmp_path) -> None:
    array = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float16)
    np.save(tmp_path / "some.npy", array)
    for source in (open_source(array), open_source(tmp_path / "some.npy")):
        assert np.array_equal(source.take(np.array([0, 49])), array[[0, 49]].astype(np.float32))
        assert list(source.keys)[49] == "49"
    hashes = open_source(array).hashes(range(50))
    changed = array.copy()
    changed[7, 2] = np.nextafter(changed[7, 2], np.float16(9))
    assert [a != b for a, b in zip(hashes, open_source(changed).hashes(range(50)), strict=True)] == [
        row == 7 for row in range(50)
    ]
    swapped = array[:, [1, 0, 2, 3]]
    assert not set(hashes) & set(open_source(swapped).hashes(range(50)))
    np.save(tmp_path / "whole.npy", np.arange(6).reshape(2, 3))
    with pytest.raises(UnreadableFile, match="must hold floats"):
        open_source(tmp_path / "whole.npy")
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match=r"not a readable \.npy"):
        open_source(tmp_path / "pickled.npy")
    with pytest.raises(InvalidInput, match=r"floats of shape \(N, D\), found float32 of shape \(4,\)"):
        open_source(np.zeros(4, np.float32))


@pytest.fixture
def clip_output(tmp_path):
    """As clip-retrieval's inference leaves it: float16 arrays of some partitions, the metadata beside each."""
    folder = tmp_path / "clip"
    (folder / "img_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    vectors = np.random.default_rng(0).normal(size=(25, 4)).astype(np.float16)
    for part, (start, stop) in enumerate([(0, 10), (10, 25)]):
        np.save(folder / "img_emb" / f"img_emb_{part}.npy", vectors[start:stop])
        paths = [f"/photos/{row}.jpg" for row in range(start, stop)]
        table = pyarrow.table({"image_path": paths, "caption": [f"caption {row}" for row in range(start, stop)]})
        parquet.write_table(table, folder / "metadata" / f"metadata_{part}.parquet")
    return folder, vectors


def test_the_layout_of_clip_retrieval(clip_output) -> None:
    folder, vectors = clip_output
    source = open_source(folder)
    assert len(source) == 25
    assert source.keys[24] == "/photos/24.jpg"
    assert source.columns["caption"].to_pylist()[10] == "caption 10"
    assert np.array_equal(source.take(np.arange(8, 13)), vectors[8:13].astype(np.float32))
    assert np.array_equal(source.take(np.array([0, 24])), vectors[[0, 24]].astype(np.float32))


def test_clip_retrieval_rows_that_do_not_fit(clip_output) -> None:
    folder, vectors = clip_output
    np.save(folder / "img_emb" / "img_emb_1.npy", vectors[10:24])
    with pytest.raises(UnreadableFile, match=r"img_emb_1\.npy has 14 vectors and .*metadata_1\.parquet 15 rows"):
        open_source(folder)
    np.save(folder / "img_emb" / "img_emb_1.npy", vectors[10:, :3])
    with pytest.raises(UnreadableFile, match="vectors of several lengths"):
        open_source(folder)
    for file in (folder / "img_emb").iterdir():
        file.unlink()
    with pytest.raises(MissingData, match="has no vectors in img_emb/"):
        open_source(folder)


def test_ten_partitions_are_in_the_order_of_their_numbers(tmp_path) -> None:
    (tmp_path / "img_emb").mkdir()
    for part in range(12):
        np.save(tmp_path / "img_emb" / f"img_emb_{part:d}.npy", np.full((1, 2), part, np.float32))
    source = open_source(tmp_path)
    assert source.take(np.arange(12))[:, 0].tolist() == list(range(12))
    assert list(source.keys)[10] == "10/0"


def test_a_data_set_by_name() -> None:
    source = open_source("digits")
    assert source.kind == "images"
    assert len(source) == len(load_dataset("digits"))
    assert source.labels[0] == load_dataset("digits").class_names[int(load_dataset("digits").labels[0])]
    assert reopen_source(source.described).keys == source.keys


def test_what_there_is_not(tmp_path) -> None:
    with pytest.raises(MissingData, match="nowhere does not exist, nor is it a data set"):
        open_source("nowhere")
    with pytest.raises(MissingData, match="is empty"):
        open_source(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(MissingData, match=r"has no pictures \(1 other files\)"):
        open_source(tmp_path)
    with pytest.raises(InvalidInput, match="nothing an index can be built from"):
        open_source(tmp_path / "a.txt")
    with pytest.raises(InvalidInput, match="not int"):
        open_source(5)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(UnreadableFile, match=r"bad\.parquet cannot be read as a table"):
        open_source(tmp_path / "bad.parquet")
    assert reopen_source({"kind": "folder", "path": str(tmp_path / "gone")}) is None
    assert reopen_source({}) is None
