import json

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.collection.omniglot import expand_alphabets
from fewshot.datasets.duplicates import duplicate_groups
from fewshot.errors import UnreadableFile


@pytest.fixture(scope="module")
def stored(shared_data):
    with np.load(shared_data / "omniglot" / "omniglot_full.npz") as content:
        return {key: content[key] for key in content.files}


@pytest.fixture(scope="module")
def omniglot(shared_data):
    return load_dataset("omniglot")


def test_counts(omniglot):
    assert (len(omniglot), len(omniglot.class_names), len(omniglot.groups["alphabet"].names)) == (32460, 1623, 50)
    assert omniglot.class_counts.unique().tolist() == [20]
    assert omniglot.groups["drawer"].codes.bincount().tolist() == [1623] * 20


def test_every_picture_is_where_its_id_says(omniglot, stored):
    where = {f"{stored['class_id'][row]:04d}_{stored['drawer'][row]:02d}": row for row in range(32460)}
    alphabet = omniglot.groups["alphabet"]
    for index in range(0, 32460, 487):
        name, row = omniglot.ids[index], where[omniglot.ids[index][-11:-4]]
        ink = np.unpackbits(stored["images"][row], count=11025).reshape(105, 105)
        picture, label = omniglot[index]
        assert np.array_equal(np.asarray(picture)[..., 0], 255 * (1 - ink))
        assert omniglot.class_names[label] == name.rpartition("/")[0]
        assert alphabet.names[alphabet.codes[index]] == stored["alphabet_names"][stored["alphabet"][row]]
        assert name.split("/")[1] == f"character{stored['character'][row]:02d}"


def test_the_picture_is_that_of_the_official_file(omniglot, shared_data):
    from fewshot.datasets import ImageFolder

    official = ImageFolder(shared_data / "omniglot" / "images_background_small1.zip")
    at = {name: index for index, name in enumerate(omniglot.ids)}
    for index in range(0, len(official), 300):
        name = official.ids[index].partition("/")[2]  # below images_background_small1/
        assert np.array_equal(np.asarray(official[index][0]), np.asarray(omniglot[at[name]][0]))


def test_the_split_of_vinyals_is_the_published_list(omniglot, stored, shared_data):
    lists = json.loads((shared_data / "omniglot" / "split_vinyals.json").read_text())
    for split in ("train", "val", "test"):
        ids = {int(name[-11:-7]) for name in load_dataset("omniglot", split).ids}
        assert ids == set(lists[split])


def test_the_official_split_is_that_of_the_authors(omniglot, stored):
    for code, (split, classes) in enumerate([("background", 964), ("evaluation", 659)]):
        dataset = load_dataset("omniglot", split)
        assert len(dataset.class_names) == classes
        assert {int(name[-11:-7]) for name in dataset.ids} == set(stored["class_id"][stored["split"] == code].tolist())


def test_the_one_drawing_that_is_there_twice(omniglot):
    twice = [[omniglot.ids[index] for index in group] for group in duplicate_groups(omniglot.images)]
    assert twice == [["Braille/character01/0192_03.png", "Braille/character01/0192_19.png"]]


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    (tmp_path / "omniglot").mkdir()
    (tmp_path / "omniglot" / "omniglot_full.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UnreadableFile, match="omniglot_full.npz does not hold Omniglot as expected .*; copy it anew"):
        load_dataset("omniglot")


def test_single_characters_leave_their_alphabet():
    parts = {"train": ["Greek", "Latin"], "test": ["Latin/character02"]}
    classes = ["Greek/character01", "Latin/character01", "Latin/character02", "Runes/character01"]
    assert expand_alphabets(parts, classes) == {"train": classes[:2], "test": [classes[2]]}


@pytest.fixture
def downloaded(shared_data, omniglot, tmp_path, monkeypatch):
    """One drawing of each character, laid out as torchvision unpacks them."""
    monkeypatch.setattr("torchvision.datasets.omniglot.check_integrity", lambda path, md5: True)
    background = set(load_dataset("omniglot", "background").class_names)
    picture = Image.new("1", (105, 105))
    for name in omniglot.ids[::20]:
        part = "background" if name.rpartition("/")[0] in background else "evaluation"
        path = tmp_path / "omniglot-py" / f"images_{part}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return tmp_path


def test_torchvision_s_files_give_the_same_names(downloaded, omniglot):
    dataset = load_dataset("omniglot", root=downloaded)
    assert dataset.ids == omniglot.ids[::20]
    assert dataset.class_names == omniglot.class_names
    assert dataset[0][0].size == (105, 105)
    assert len(load_dataset("omniglot", "test", root=downloaded)) == 423
