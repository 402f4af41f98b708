import pytest

from fewshot.datasets.layout import layout_of


def test_class_folders_at_any_depth_in_natural_order():
    layout = layout_of(["dog/10.png", "dog/2.png", "cat/old/1.JPG", "cat/notes.txt", "read.me"])
    assert layout.pictures == ("cat/old/1.JPG", "dog/2.png", "dog/10.png")
    assert layout.classes == ("cat", "dog", "dog")
    assert (layout.parts, layout.loose, layout.bare) == (None, (), ())


def test_loose_pictures_and_bare_folders_are_told():
    layout = layout_of(["1.png", "cat/2.png", "phone/3.heicx", "phone/4.txt", "empty.txt"])
    assert (layout.pictures, layout.loose, layout.bare) == (("cat/2.png",), ("1.png",), ("phone",))


@pytest.mark.parametrize("folder", ["train", "Train", "val", "valid", "validation", "test", "testing", "training"])
def test_part_folders_are_recognised(folder):
    layout = layout_of([f"{folder}/cat/1.png", "test/dog/2.png", f"{folder}/loose.png"])
    assert sorted(zip(layout.parts, layout.classes, strict=True)) == sorted([(folder, "cat"), ("test", "dog")])
    assert layout.loose == (f"{folder}/loose.png",)


def test_a_class_called_train_among_others_is_a_class():
    layout = layout_of(["train/1.png", "bus/1.png", "train/steam/2.png"])
    assert layout.classes == ("bus", "train", "train")
    assert layout.parts is None


def test_a_folder_around_it_all_is_passed_over_in_zips_only():
    names = ["photos/2024/cat/1.png", "photos/2024/dog/2.png"]
    assert layout_of(names, wrapped=True).classes == ("cat", "dog")
    assert layout_of(names).classes == ("photos", "photos")
    assert layout_of(["photos/train/cat/1.png", "photos/test/dog/2.png"], wrapped=True).parts == ("test", "train")


def test_one_class_alone_is_not_taken_for_a_wrapper():
    assert layout_of(["cat/1.png", "cat/2.png"], wrapped=True).classes == ("cat", "cat")


def test_nothing():
    assert layout_of([]).pictures == layout_of([], wrapped=True).pictures == ()
