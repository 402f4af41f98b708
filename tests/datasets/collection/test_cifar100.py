import json
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import check_splits, describe_dataset, load_dataset
from fewshot.datasets.duplicates import duplicate_groups
from fewshot.datasets.splits import duplicates_across_splits, split_list


def test_the_lists_are_the_published_ones(shared_data):
    published = json.loads((shared_data / "cifar_fs" / "splits.json").read_text())
    kept = split_list("cifar-100")
    assert (kept["cifar-fs"], kept["fc100"]) == (published["cifar_fs"], published["fc100"])
    fine = [name for names in kept["superclasses"].values() for name in names]
    assert len(fine) == 100
    check_splits("cifar-100", fine, kept["cifar-fs"])
    check_splits("superclasses", list(kept["superclasses"]), kept["fc100"])


@pytest.mark.parametrize(
    ("name", "split", "classes", "items"),
    [
        ("cifar-fs", "train", 64, 9600),
        ("cifar-fs", "val", 16, 2400),
        ("cifar-fs", "test", 20, 4000),
        ("cifar-fs", "all", 100, 16000),
        ("fc100", "train", 60, 9550),
        ("fc100", "val", 20, 3200),
        ("fc100", "test", 20, 3250),
    ],
)
def test_counts(shared_data, name, split, classes, items):
    dataset = load_dataset(name, split)
    assert (len(dataset.class_names), len(dataset)) == (classes, items)
    assert describe_dataset(name)["splits"].get(split, 100) == classes


def test_cifar_fs_splits_are_the_folders_of_the_zip(shared_data):
    for split in ("train", "val", "test"):
        assert {name.split("/")[0] for name in load_dataset("cifar-fs", split).ids} == {split}


def test_fc100_splits_share_no_superclass(shared_data):
    sets = [set(load_dataset("fc100", split).groups["coarse"].codes.tolist()) for split in ("train", "val", "test")]
    assert [len(found) for found in sets] == [12, 4, 4]
    assert len(set.union(*sets)) == 20


def test_pictures_are_those_of_the_zip(shared_data):
    dataset = load_dataset("cifar-fs", "test")
    with zipfile.ZipFile(shared_data / "cifar_fs" / "cifar_fs_small.zip") as archive:
        for index in range(0, 4000, 171):
            picture, label = dataset[index]
            assert np.array_equal(
                np.asarray(picture), np.asarray(Image.open(BytesIO(archive.read(dataset.ids[index]))))
            )
            assert dataset.class_names[label] == dataset.ids[index].split("/")[1]


def test_the_one_photo_in_two_classes_is_known(shared_data):
    dataset = load_dataset("cifar-fs")
    pair = ("val/shark/shark_s_002211.png", "test/whale/whale_s_001463.png")
    assert [sorted(dataset.ids[index] for index in group) for group in duplicate_groups(dataset.images)] == [
        sorted(pair)
    ]
    for name in ("cifar-fs", "fc100"):
        assert {frozenset(found) for found in duplicates_across_splits(load_dataset(name))} == {frozenset(pair)}
        assert describe_dataset(name)["known_duplicates"] == [list(pair)]


def test_files_with_one_checksum_are_not_taken_for_equal(shared_data):
    dataset = load_dataset("cifar-fs")
    first, second = (
        dataset.ids.index(f"train/{name}.png") for name in ("apple/northern_spy_s_000207", "hamster/hamster_s_000389")
    )
    assert dataset.images.digest(first) == dataset.images.digest(second)
    assert not dataset.images.same(first, second)


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    """Two pictures of each class in the pickles that CIFAR-100 comes as."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    names = sorted(name for names in split_list("cifar-100")["superclasses"].values() for name in names)
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    for seed, part in enumerate(("train", "test")):
        pixels = np.random.default_rng(seed).integers(0, 256, (100, 3072), dtype=np.uint8)
        (folder / part).write_bytes(pickle.dumps({"data": pixels, "fine_labels": list(range(100))}))
    return tmp_path


@pytest.mark.parametrize(("name", "classes"), [("cifar-fs", 20), ("fc100", 20)])
def test_torchvision_s_files(downloaded, name, classes):
    dataset = load_dataset(name, root=downloaded)
    assert (len(dataset), dataset.ids[0], dataset.ids[-1]) == (200, "train/00000", "test/00099")
    stored = pickle.loads((downloaded / "cifar-100-python" / "test").read_bytes())["data"][7].reshape(3, 32, 32)
    picture, label = dataset[107]
    assert np.array_equal(np.asarray(picture), stored.transpose(1, 2, 0))
    assert label == 7
    test = load_dataset(name, "test", root=downloaded)
    assert (len(test.class_names), len(test)) == (classes, 2 * classes)
