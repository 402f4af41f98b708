import json

from fewshot.datasets import ImageFolder, check_dataset


def test_a_sound_data_set(make_dataset):
    check = check_dataset(make_dataset([0, 0, 0, 1, 2, 2], classes=4))
    assert check.sound
    assert (check.items, check.classes) == (6, 4)
    assert (check.smallest_class, check.median_class, check.largest_class) == (0, 1, 3)
    assert check.picture_sizes == {"2x2": 6}
    assert check.broken == check.duplicates == ()


def test_what_is_wrong_is_named(make_folder, picture_file):
    png = picture_file(9, size=(80, 60))
    files = {"train/cat/1.png": 1, "train/cat/2.png": 1, "train/dog/3.png": 1, "val/fox/4.png": 1, "val/fox/5.png": 5}
    folder = make_folder({**files, "val/fox/6.png": png[:2000], "val/fox/7.png": png[:2000]})
    check = check_dataset(ImageFolder(folder))
    first = "train/cat/1.png"
    assert not check.sound
    assert check.broken == ("val/fox/6.png", "val/fox/7.png")
    assert check.duplicates == ((first, "train/cat/2.png"), (first, "train/dog/3.png"), (first, "val/fox/4.png"))
    assert check.duplicates_across_classes == check.duplicates[1:]
    assert check.duplicates_across_splits == check.duplicates_across_parts == check.duplicates[2:]
    assert check.picture_sizes == {"12x10": 5}
    assert json.loads(json.dumps(check.to_json()))["sound"] is False


def test_parts_that_share_classes_are_compared_too(make_folder):
    check = check_dataset(ImageFolder(make_folder({"train/cat/1.png": 1, "test/cat/2.png": 1, "test/dog/3.png": 3})))
    assert check.duplicates_across_parts == (("test/cat/2.png", "train/cat/1.png"),)
    assert check.duplicates_across_classes == check.duplicates_across_splits == ()


def test_an_empty_data_set(make_dataset):
    check = check_dataset(make_dataset([], classes=0))
    assert (check.items, check.largest_class, check.sound) == (0, 0, True)
