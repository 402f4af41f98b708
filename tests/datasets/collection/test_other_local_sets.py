"""Caltech-101, Grocery Store, and the digits in two domains."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.duplicates import duplicate_groups
from fewshot.errors import MissingData, UnreadableFile


def test_caltech101(shared_data):
    dataset = load_dataset("caltech101")
    assert (len(dataset), len(dataset.class_names)) == (5815, 99)
    assert (int(dataset.class_counts.min()), int(dataset.class_counts.max())) == (31, 80)
    with zipfile.ZipFile(shared_data / "caltech101" / "caltech101_84.zip") as archive:
        for index in range(0, 5815, 397):
            picture, label = dataset[index]
            assert np.array_equal(
                np.asarray(picture), np.asarray(Image.open(BytesIO(archive.read(dataset.ids[index]))))
            )
            assert dataset.ids[index].startswith(dataset.class_names[label] + "/")
    assert duplicate_groups(dataset.images) == []


def test_caltech101_from_torchvision_s_files(make_folder, tmp_path):
    files = {
        "ant/image_0002.jpg": 1,
        "ant/image_0010.jpg": 2,
        "Faces/image_0001.jpg": 3,
        "BACKGROUND_Google/image_0001.jpg": 4,
    }
    make_folder({f"101_ObjectCategories/{name}": seed for name, seed in files.items()}, "caltech101")
    dataset = load_dataset("caltech101", root=tmp_path)
    assert dataset.ids == ("Faces/image_0001.jpg", "ant/image_0002.jpg", "ant/image_0010.jpg")
    assert dataset.class_names == ("Faces", "ant")
    assert dataset[0][0].size == (12, 10)


def test_grocery_store(shared_data):
    dataset = load_dataset("grocery-store")
    assert (len(dataset), len(dataset.class_names), len(dataset.groups["coarse"].names)) == (5502, 81, 43)
    photos, iconic = (dataset.select(where={"domain": domain}) for domain in ("photo", "iconic"))
    assert (len(photos), iconic.class_counts.tolist()) == (5421, [1] * 81)
    facts = {entry["name"]: entry for entry in json.loads((shared_data / "grocery_store" / "classes.json").read_text())}
    coarse = dataset.groups["coarse"]
    for index in range(0, 5502, 61):
        name, kind = dataset.ids[index], dataset.class_names[dataset.labels[index]]
        assert name.split("/")[1] == kind or name == f"iconic/{kind}.jpg"
        assert coarse.names[coarse.codes[index]] == facts[kind]["coarse_name"]
        assert dataset.class_descriptions[kind] == facts[kind]["description"]
    parts = dataset.groups["part"]
    assert {name.partition("/")[0] for name in dataset.select(where={"part": "val"}).ids} == {"val"}
    assert parts.names == ("iconic", "test", "train", "val")
    assert duplicate_groups(dataset.images) == []


def test_a_class_without_a_description_is_named(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    folder = tmp_path / "grocery_store"
    folder.mkdir()
    (folder / "grocery_store_84.zip").symlink_to(shared_data / "grocery_store" / "grocery_store_84.zip")
    entries = json.loads((shared_data / "grocery_store" / "classes.json").read_text())
    (folder / "classes.json").write_text(json.dumps(entries[1:]))
    with pytest.raises(
        UnreadableFile, match=r"classes.json does not describe the classes Golden-Delicious that are in"
    ):
        load_dataset("grocery-store")


def test_mnist_usps(shared_data):
    dataset = load_dataset("mnist-usps")
    assert (len(dataset), len(dataset.class_names)) == (3800, 10)
    with np.load(shared_data / "digits_mnist_usps" / "digits_mnist_usps_16.npz") as stored:
        for domain in ("mnist", "usps"):
            part = dataset.select(where={"domain": domain})
            assert part.labels.tolist() == stored[f"{domain}_y"].tolist()
            assert np.array_equal(np.asarray(part[123][0])[..., 1], stored[f"{domain}_x"][123])


def test_a_damaged_array_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    (tmp_path / "digits_mnist_usps").mkdir()
    np.savez(tmp_path / "digits_mnist_usps" / "digits_mnist_usps_16.npz", mnist_x=np.zeros(3))
    with pytest.raises(
        UnreadableFile, match=r"digits_mnist_usps_16.npz does not hold the digits as expected \(KeyError"
    ):
        load_dataset("mnist-usps")


@pytest.mark.parametrize("name", ["grocery-store", "mnist-usps", "omniglot", "cifar-fs", "fc100", "caltech101"])
def test_missing_files_say_where_they_were_looked_for(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=str(tmp_path)):
        load_dataset(name)
