import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import ImageFolder, find_broken
from fewshot.errors import BrokenImages, FewshotWarning, MissingData, SplitError, UnreadableFile

PETS = {"dog/10.png": 1, "dog/2.png": 2, "cat/1.png": 3}
SPLITS = {"train/cat/1.png": 1, "train/dog/2.png": 2, "val/fox/3.png": 3, "test/owl/4.png": 4, "test/elk/5.png": 5}


@pytest.fixture(params=["folder", "zip"])
def place(request, make_folder, make_zip):
    """Makes a folder or a zip of the files given: both are to behave alike."""
    return make_folder if request.param == "folder" else make_zip


@pytest.fixture
def bad_files(picture_file):
    jpeg, png = picture_file(7, "JPEG", (90, 70)), picture_file(8, "PNG", (90, 70))
    return {
        "cat/empty.png": b"",
        "cat/good.png": png,
        "cat/text.jpg": b"a letter, not a picture",
        "dog/cut.jpg": jpeg[: len(jpeg) // 2],
        "dog/cut.png": png[: len(png) // 2],
        "dog/good.jpg": jpeg,
    }


def test_a_class_is_a_subfolder(place):
    dataset = ImageFolder(place(PETS))
    assert (dataset.class_names, dataset.ids) == (("cat", "dog"), ("cat/1.png", "dog/2.png", "dog/10.png"))
    assert dataset.labels.tolist() == [0, 1, 1]
    assert (dataset.name, dataset.split, dataset.groups) == ("pictures", "all", {})


def test_the_pictures_are_those_of_the_files(place, make_folder):
    dataset, folder = ImageFolder(place(PETS), name="pets"), make_folder(PETS, "again")
    assert dataset.name == "pets"
    for name, (picture, _) in zip(dataset.ids, dataset, strict=True):
        assert np.array_equal(np.asarray(picture), np.asarray(Image.open(folder / name)))


def test_splits_of_folders(place):
    path = place(SPLITS)
    assert ImageFolder(path).class_names == ("cat", "dog", "elk", "fox", "owl")
    test = ImageFolder(path, split="test")
    assert (test.class_names, test.split) == (("elk", "owl"), "test")
    assert test.ids == ("test/elk/5.png", "test/owl/4.png")
    assert test.groups["part"].names == ("test", "train", "val")


def test_an_unknown_split(place):
    with pytest.raises(SplitError, match="pictures has no split 'dev'; there are: all, test, train, val"):
        ImageFolder(place(SPLITS), split="dev")
    with pytest.raises(SplitError, match="no split 'test'; there are: all$"):
        ImageFolder(place(PETS, name="flat.zip"), split="test")


def test_splits_that_share_classes_are_refused_but_their_parts_can_be_had(place):
    path = place({**SPLITS, "test/cat/6.png": 6})
    with pytest.raises(SplitError, match=r"class 'cat' in more than one split \('cat': test, train\)") as caught:
        ImageFolder(path, split="test")
    assert str(caught.value).endswith(".select(where={'part': 'test'})")
    part = ImageFolder(path).select(where={"part": "test"})
    assert part.ids == ("test/cat/6.png", "test/elk/5.png", "test/owl/4.png")


def test_equal_pictures_in_two_splits_are_told_of_a_zip(make_zip):
    path = make_zip({**SPLITS, "val/fox/7.png": 1})
    with pytest.warns(FewshotWarning, match=r"1 pairs of equal pictures .*: train/cat/1.png = val/fox/7.png"):
        ImageFolder(path, split="test")


def test_files_that_are_no_pictures_are_named_at_once(place, bad_files):
    with pytest.raises(BrokenImages, match="pictures: 2 images cannot be read: cat/empty.png, cat/text.jpg") as caught:
        ImageFolder(place(bad_files))
    assert caught.value.names == ("cat/empty.png", "cat/text.jpg")
    assert "skip_broken=True" in str(caught.value)


def test_files_cut_short_are_named_when_they_are_decoded(place, bad_files):
    whole_headers = {name: content for name, content in bad_files.items() if "cut" in name or "good" in name}
    dataset = ImageFolder(place(whole_headers))
    assert dataset.ids == ("cat/good.png", "dog/cut.jpg", "dog/cut.png", "dog/good.jpg")
    for index, name in ((1, "dog/cut.jpg"), (2, "dog/cut.png")):
        with pytest.raises(BrokenImages) as caught:
            dataset[index]
        assert caught.value.names == (name,)
    assert find_broken(dataset) == ["dog/cut.jpg", "dog/cut.png"]


def test_broken_pictures_are_left_out_when_asked(place, bad_files):
    with pytest.warns(FewshotWarning, match="4 images cannot be read and were left out: cat/empty.png, cat/text.jpg, "):
        dataset = ImageFolder(place(bad_files), skip_broken=True)
    assert dataset.ids == ("cat/good.png", "dog/good.jpg")
    assert len(list(dataset)) == 2


def test_a_sound_folder_is_skipped_nothing(place):
    assert len(ImageFolder(place(PETS), skip_broken=True)) == 3


def test_what_is_left_out_is_told(place):
    with pytest.warns(FewshotWarning) as caught:
        dataset = ImageFolder(place({**PETS, "loose.png": 4, "phone/5.heicx": b"unknown"}))
    told = [str(warning.message) for warning in caught]
    assert "1 pictures outside the class folders were left out: loose.png" in told[0]
    assert "1 class folders without a picture of a known format were left out: phone" in told[1]
    assert dataset.class_names == ("cat", "dog")


def test_a_wrapping_folder_in_a_zip(make_zip):
    dataset = ImageFolder(make_zip({f"photos/{name}": content for name, content in PETS.items()}))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.ids[0] == "photos/cat/1.png"


def test_nothing_to_load(place, tmp_path):
    with pytest.raises(MissingData, match=r"none does not exist; give a folder \(or zip\) with a subfolder"):
        ImageFolder(tmp_path / "none")
    with pytest.raises(
        MissingData, match=r"no pictures in class folders \(1 pictures outside of any\); expected CLASS/"
    ):
        ImageFolder(place({"1.png": 1, "notes.txt": b""}))


def test_a_file_that_is_no_zip(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff not a zip")
    with pytest.raises(UnreadableFile, match=r"photo.jpg is not a readable zip"):
        ImageFolder(tmp_path / "photo.jpg")
