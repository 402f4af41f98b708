"""Tiny layouts as the authors publish them, read through torchvision's own classes."""

import json

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.splits import split_list
from fewshot.errors import SplitError, UnreadableFile


def assert_holds(dataset, path, class_names, classes, parts):
    """`classes` and `parts` by id; pixels are compared with the files themselves."""
    assert dataset.class_names == class_names
    labels = {name: class_names[label] for name, label in zip(dataset.ids, dataset.labels.tolist(), strict=True)}
    assert labels == classes
    part = dataset.groups["part"] if parts else None
    assert parts == (
        part and {name: part.names[code] for name, code in zip(dataset.ids, part.codes.tolist(), strict=True)}
    )
    for name, (picture, _) in zip(dataset.ids, dataset, strict=True):
        assert np.array_equal(np.asarray(picture), np.asarray(Image.open(path / name)))


def test_eurosat(make_folder, tmp_path):
    make_folder({"2750/Forest/Forest_1.jpg": 1, "2750/River/River_1.jpg": 2, "2750/River/River_2.jpg": 3}, "eurosat")
    classes = {
        "2750/Forest/Forest_1.jpg": "Forest",
        "2750/River/River_1.jpg": "River",
        "2750/River/River_2.jpg": "River",
    }
    assert_holds(load_dataset("eurosat", root=tmp_path), tmp_path / "eurosat", ("Forest", "River"), classes, None)
    with pytest.raises(SplitError, match="eurosat has no split 'test'; there are: all"):
        load_dataset("eurosat", "test", root=tmp_path)


def test_food(make_folder, tmp_path):
    meta = {"train": {"pie": ["pie/1"], "soup": ["soup/2"]}, "test": {"pie": ["pie/3"], "soup": []}}
    files = {f"meta/{part}.json": json.dumps(lists).encode() for part, lists in meta.items()}
    make_folder({**files, "images/pie/1.jpg": 1, "images/soup/2.jpg": 2, "images/pie/3.jpg": 3}, "food-101")
    classes = {"images/pie/1.jpg": "pie", "images/soup/2.jpg": "soup", "images/pie/3.jpg": "pie"}
    parts = {"images/pie/1.jpg": "train", "images/soup/2.jpg": "train", "images/pie/3.jpg": "test"}
    assert_holds(load_dataset("food-101", root=tmp_path), tmp_path / "food-101", ("pie", "soup"), classes, parts)


def test_parts_with_other_classes_are_refused(make_folder, tmp_path):
    make_folder({"meta/train.json": b'{"pie": []}', "meta/test.json": b'{"soup": []}', "images/1.jpg": 1}, "food-101")
    with pytest.raises(UnreadableFile, match="the parts train, test of food-101 list different classes"):
        load_dataset("food-101", root=tmp_path)


def test_pets(make_folder, tmp_path):
    lists = {"trainval": "great_dane_1 2 2 1\nAbyssinian_2 1 1 1\n", "test": "Abyssinian_3 1 1 1\ngreat_dane_4 2 2 1\n"}
    files = {f"annotations/{part}.txt": text.encode() for part, text in lists.items()}
    pictures = {
        f"images/{name}.jpg": index
        for index, name in enumerate(("great_dane_1", "Abyssinian_2", "Abyssinian_3", "great_dane_4"))
    }
    make_folder({**files, **pictures}, "oxford-iiit-pet")
    classes = {name: "Great Dane" if "dane" in name else "Abyssinian" for name in pictures}
    parts = {name: "trainval" if name[-5] in "12" else "test" for name in pictures}
    dataset = load_dataset("oxford-pets", root=tmp_path)
    assert_holds(dataset, tmp_path / "oxford-iiit-pet", ("Abyssinian", "Great Dane"), classes, parts)


def test_cars(make_folder, tmp_path):
    from scipy.io import savemat

    cars = {
        "cars_train/1.jpg": "Fiat",
        "cars_train/2.jpg": "Audi",
        "cars_test/1.jpg": "Audi",
        "cars_test/2.jpg": "Fiat",
    }
    base = make_folder({"devkit/README.txt": b"", **{name: seed for seed, name in enumerate(cars)}}, "stanford_cars")
    files = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    for part, file in files.items():
        rows = [(f"{number}.jpg", {"Audi": 1, "Fiat": 2}[cars[f"cars_{part}/{number}.jpg"]]) for number in (1, 2)]
        savemat(base / file, {"annotations": np.array(rows, dtype=[("fname", object), ("class", object)])})
    savemat(base / "devkit/cars_meta.mat", {"class_names": np.array(["Audi", "Fiat"], dtype=object)})
    parts = {name: name[5:].partition("/")[0] for name in cars}
    assert_holds(load_dataset("stanford-cars", root=tmp_path), base, ("Audi", "Fiat"), cars, parts)


def test_scenes(make_folder, tmp_path):
    make_folder(
        {"ClassName.txt": b"/a/abbey\n/b/bar/indoor\n", "b/bar/indoor/sun_2.jpg": 2, "a/abbey/sun_1.jpg": 1}, "SUN397"
    )
    classes = {"a/abbey/sun_1.jpg": "abbey", "b/bar/indoor/sun_2.jpg": "bar/indoor"}
    dataset = load_dataset("sun397", root=tmp_path)
    assert dataset.ids == tuple(sorted(classes))
    assert_holds(dataset, tmp_path / "SUN397", ("abbey", "bar/indoor"), classes, None)


@pytest.fixture
def aircraft(make_folder, tmp_path):
    variants = [name for names in split_list("fgvc-aircraft")["meta-dataset"].values() for name in names]
    lists = {"train": variants[:40], "val": variants[40:70], "test": variants[70:]}
    number = {name: index for index, name in enumerate(variants)}
    files = {"data/variants.txt": "\n".join(variants).encode()}
    for part, names in lists.items():
        files[f"data/images_variant_{part}.txt"] = "\n".join(f"{number[name]:07d} {name}" for name in names).encode()
    pictures = {f"data/images/{index:07d}.jpg": index for index in number.values()}
    make_folder({**files, **pictures}, "fgvc-aircraft-2013b")
    return tmp_path


def test_aircraft_has_the_class_splits_of_meta_dataset(aircraft):
    assert len(load_dataset("fgvc-aircraft", root=aircraft)) == 100
    sizes = {
        split: len(load_dataset("fgvc-aircraft", split, root=aircraft).class_names)
        for split in ("train", "val", "test")
    }
    assert sizes == {"train": 70, "val": 15, "test": 15}
    assert "Spitfire" in load_dataset("fgvc-aircraft", "test", root=aircraft).class_names


def test_a_class_that_the_splits_do_not_know_is_named(aircraft):
    path = aircraft / "fgvc-aircraft-2013b" / "data" / "variants.txt"
    path.write_text(path.read_text() + "\nPaper plane\n")
    with pytest.raises(SplitError, match=r"fgvc-aircraft \(meta-dataset\): class 'Paper plane' in no split"):
        load_dataset("fgvc-aircraft", root=aircraft)


def test_textures(make_folder, tmp_path):
    textures = sorted(name for names in split_list("dtd")["meta-dataset"].values() for name in names)
    pictures = {
        f"dtd/images/{name}/{part}.jpg": 3 * index + place
        for index, name in enumerate(textures)
        for place, part in enumerate(("train", "val", "test"))
    }
    files = {
        f"dtd/labels/{part}1.txt": "\n".join(f"{name}/{part}.jpg" for name in textures).encode()
        for part in ("train", "val", "test")
    }
    make_folder({**files, **pictures}, "dtd")
    classes = {name: name.split("/")[2] for name in pictures}
    parts = {name: name.split("/")[3][:-4] for name in pictures}
    assert_holds(load_dataset("dtd", root=tmp_path), tmp_path / "dtd", tuple(textures), classes, parts)
    assert load_dataset("dtd", "val", root=tmp_path).class_names[:2] == ("gauzy", "grid")


def test_flowers_are_split_by_number(make_folder, tmp_path, monkeypatch):
    from scipy.io import savemat

    monkeypatch.setattr("torchvision.datasets.flowers102.check_integrity", lambda path, md5: True)
    make_folder({f"jpg/image_{number:05d}.jpg": number for number in range(1, 103)}, "flowers-102")
    savemat(tmp_path / "flowers-102/imagelabels.mat", {"labels": np.arange(1, 103)[::-1]})
    savemat(
        tmp_path / "flowers-102/setid.mat",
        {"trnid": np.arange(1, 11), "valid": np.arange(11, 21), "tstid": np.arange(21, 103)},
    )
    test = load_dataset("flowers-102", "test", root=tmp_path)
    numbers = split_list("flowers-102")["meta-dataset"]["test"]
    assert len(test.class_names) == len(numbers) == 16
    assert {int(name[-9:-4]) for name in test.ids} == {103 - number for number in numbers}
    assert "lotus" in load_dataset("flowers-102", root=tmp_path).class_names[77]


@pytest.mark.parametrize(
    ("name", "sizes"), [("flowers-102", (71, 15, 16)), ("fgvc-aircraft", (70, 15, 15)), ("dtd", (33, 7, 7))]
)
def test_the_lists_have_the_published_sizes(name, sizes):
    lists = split_list(name)["meta-dataset"]
    assert tuple(len(lists[split]) for split in ("train", "val", "test")) == sizes
    assert len({entry for entries in lists.values() for entry in entries}) == sum(sizes)
