"""ImageNet, its shifts and UCF101, from small folders laid out as theirs are."""

import pytest
from PIL import Image

from fewshot import load_dataset
from fewshot.datasets.collection.imagenet import imagenet_names
from fewshot.errors import MissingData, UnreadableFile


def pictures(folder, names):
    for row, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (row, 0, 0)).save(path)


def test_imagenet_has_all_classes_in_the_order_of_their_wordnet_ids(tmp_path):
    names = [
        "train/n01440764/n01440764_10.JPEG",
        "train/n01440764/n01440764_9.JPEG",
        "val/n01443537/ILSVRC2012_val_00000001.JPEG",
        "val/n02012849/ILSVRC2012_val_00000002.JPEG",
    ]
    pictures(tmp_path, names)
    dataset = load_dataset("imagenet", root=tmp_path)
    assert dataset.ids == (names[1], names[0], names[2], names[3])
    assert [dataset.class_names[label] for label in dataset.labels.tolist()] == [
        "tench", "tench", "goldfish", "crane bird"
    ]  # fmt: skip
    assert len(dataset.class_names) == len(set(dataset.class_names)) == 1000
    assert dataset.select(where={"part": "val"}).ids == tuple(names[2:])
    assert dataset[1][0].getpixel((0, 0)) == pytest.approx((0, 0, 0), abs=2)


def test_imagenet_refuses_what_is_not_laid_out_so(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    with pytest.raises(MissingData, match="holds no pictures as train/WNID"):
        load_dataset("imagenet", root=tmp_path)
    pictures(tmp_path, ["train/cat/1.JPEG"])
    with pytest.raises(UnreadableFile, match="no WordNet ids of ImageNet: cat"):
        load_dataset("imagenet", root=tmp_path)
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="imagenet needs the file imagenet below"):
        load_dataset("imagenet")


def test_ucf101_is_divided_by_the_first_official_split(tmp_path):
    names = [
        f"{name}/v_{name.replace('_', '')}_g{group:02}_c01.jpg"
        for name in ("Apply_Lipstick", "YoYo")
        for group in (1, 7, 8, 25)
    ]
    pictures(tmp_path, names)
    dataset = load_dataset("ucf101-midframes", root=tmp_path)
    assert dataset.class_names == ("Apply_Lipstick", "YoYo")
    test = dataset.select(where={"part": "test"})
    assert test.ids == (names[0], names[1], names[4], names[5])
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_ucf101_refuses_other_names(tmp_path):
    pictures(tmp_path, ["YoYo/frame.jpg"])
    with pytest.raises(UnreadableFile, match=r"must hold frames named v_ClassName_g01_c01.jpg, found YoYo/frame.jpg"):
        load_dataset("ucf101-midframes", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("imagenet-a", ["imagenet-a/n01443537/1.jpg", "imagenet-a/n02012849/2.jpg", "imagenet-a/n02012849/10.jpg"]),
        ("imagenet-r", ["n01443537/art_1.jpg", "n02012849/art_1.jpg", "n02012849/toy_3.jpg"]),
        ("imagenet-sketch", ["sketch/n01443537/s_1.JPEG", "sketch/n02012849/s_2.JPEG", "sketch/n02012849/s_3.JPEG"]),
        ("imagenet-v2", ["format-val/1/a.jpeg", "format-val/134/b.jpeg", "format-val/134/c.jpeg"]),
    ],
)
def test_shifts_of_imagenet_have_the_classes_that_are_there(tmp_path, name, names):
    pictures(tmp_path, names)
    (tmp_path / "README.txt").write_text("what this is")
    dataset = load_dataset(name, root=tmp_path)
    assert dataset.class_names == ("goldfish", "crane bird")
    assert dataset.ids == tuple(names)
    assert dataset.labels.tolist() == [0, 1, 1]
    assert set(dataset.class_names) < set(imagenet_names().values())


def test_shifts_of_imagenet_refuse_what_is_not_laid_out_so(tmp_path, monkeypatch):
    with pytest.raises(UnreadableFile, match="class numbers of ImageNet, found no picture"):
        load_dataset("imagenet-r", root=tmp_path)
    pictures(tmp_path, ["goldfish/1.jpg", "2.jpg"])
    with pytest.raises(UnreadableFile, match="class numbers of ImageNet, found goldfish, none"):
        load_dataset("imagenet-r", root=tmp_path)
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="imagenet-a needs the file imagenet-a below"):
        load_dataset("imagenet-a")
