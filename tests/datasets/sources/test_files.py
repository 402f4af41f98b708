import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.sources.files import FileImages, ZipImages, open_zip
from fewshot.errors import BrokenImages, MissingData, UnreadableFile

FILES = {"a/1.png": 1, "a/2.png": 2, "b/3.png": 1}


@pytest.fixture(params=["folder", "zip"])
def images(request, make_folder, make_zip):
    if request.param == "folder":
        return FileImages(make_folder(FILES), list(FILES))
    return ZipImages(make_zip(FILES), list(FILES))


def test_the_pictures_are_those_of_the_files(images, make_folder):
    folder = make_folder(FILES, "again")
    for index, name in enumerate(FILES):
        assert np.array_equal(np.asarray(images[index]), np.asarray(Image.open(folder / name)))
        assert images.read(index) == (folder / name).read_bytes()


def test_digests_tell_equal_files(images):
    first, second, third = images.digests()
    assert first == third != second
    assert images.same(0, 2)
    assert not images.same(0, 1)
    assert [images.digest(index) for index in range(3)] == [first, second, third]


def test_they_survive_pickling_when_open(images):
    before = np.asarray(images[0])
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(images))[0]), before)


def test_the_description_holds_no_path_of_the_machine(images, tmp_path):
    assert images.describe()["images"] == 3
    assert str(tmp_path) not in str(images.describe())


def test_a_forked_process_opens_its_own_handle(make_zip, monkeypatch):
    images = ZipImages(make_zip(FILES), list(FILES))
    handle = images._archive()
    assert images._archive() is handle
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert images._archive() is not handle


def test_a_file_that_is_gone_is_named(make_folder):
    images = FileImages(make_folder(FILES), list(FILES))
    (images.path / "a/2.png").unlink()
    with pytest.raises(BrokenImages, match="pictures: 1 images cannot be read: a/2.png"):
        images[1]
    assert images.suspects() == [1]


def test_a_garbled_entry_of_a_zip_is_named(make_zip, picture_file):
    path = make_zip({"a/1.png": 1, "a/2.png": 2})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("a/2.png").header_offset + 100
    content[offset : offset + 20] = b"\0" * 20
    path.write_bytes(content)
    images = ZipImages(path, ["a/1.png", "a/2.png"])
    images[0]
    with pytest.raises(BrokenImages, match=r"pictures.zip: 1 images cannot be read: a/2.png"):
        images[1]


def test_a_missing_zip(tmp_path):
    with pytest.raises(MissingData, match=r"none.zip does not exist"):
        open_zip(tmp_path / "none.zip")


@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_a_file_that_is_no_zip(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"bad.zip is not a readable zip"):
        open_zip(tmp_path / "bad.zip")


def test_a_zip_cut_short(make_zip):
    path = make_zip(FILES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableFile, match="is not a readable zip .*; it was cut short or is another file"):
        open_zip(path)


def test_an_encrypted_zip(make_zip):
    path = make_zip({"a/1.png": 1})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="is encrypted; unpack it and load the folder"):
        open_zip(path)
