import numpy as np
import pytest
import torch
from colours import COLOURS, images_of
from PIL import Image

from fewshot.classify.items import classes_of, distinct_classes, distinct_rows, names_of
from fewshot.datasets import ImageFolder
from fewshot.errors import FewshotWarning, InvalidInput


@pytest.fixture
def photos(tmp_path):
    """Three classes of four pictures, of which the first of two classes are one."""
    images, names = images_of(COLOURS)
    images[4] = images[0]
    for row, (pixels, name) in enumerate(zip(images, names, strict=True)):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name / f"{row}.png")
    return tmp_path


LABELS = torch.arange(3).repeat_interleave(4)


def test_the_same_picture_in_two_classes_is_named(photos):
    dataset = ImageFolder(photos)
    paths = [photos / name for name in dataset.ids]
    pixels = [np.array(Image.open(path)) for path in paths]
    with pytest.raises(InvalidInput, match=r"picture stands in two classes: green/4.png and red/0.png; remove the one"):
        distinct_rows(dataset, dataset.labels, texts=False)
    with pytest.raises(InvalidInput, match=rf"{paths[4]} and {paths[8]}"):
        distinct_rows(paths, LABELS, texts=False)
    for images in (pixels, [Image.fromarray(each) for each in pixels]):
        with pytest.raises(InvalidInput, match="number 4 and number 8"):
            distinct_rows(images, LABELS, texts=False)


def test_the_same_picture_twice_in_one_class_counts_once(photos):
    images, _ = images_of(COLOURS)
    assert distinct_rows(images, LABELS, texts=False).tolist() == list(range(12))
    images[1] = images[0]
    images[7] = images[5]
    with pytest.warns(FewshotWarning, match="picture is there more than once, and counts once: number 0 and number 1; "
                                            "number 5 and number 7$"):  # fmt: skip
        assert distinct_rows(images, LABELS, texts=False).tolist() == [0, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    images[4] = images[0]  # of the next class
    with pytest.raises(InvalidInput, match="number 0 and number 4"):
        distinct_rows(images, LABELS, texts=False)


def test_texts_and_many_pairs():
    texts = ["a", "b", "c", " a ", "d", "e"]
    with pytest.raises(InvalidInput, match=r"the same text stands in two classes: a and  a ; remove"):
        distinct_rows(texts, torch.tensor([0, 0, 0, 1, 1, 1]), texts=True)
    many = [str(number) for number in range(8)] * 2
    with pytest.raises(InvalidInput, match="4 and 4; and 3 pairs more"):
        distinct_rows(many, torch.arange(16) // 8, texts=True)


def test_class_names():
    assert distinct_classes(["dog", "cat"]).tolist() == ["cat", "dog"]
    for names, message in (
        (["cat", "dog", "cat"], "the class name 'cat' is given twice"),
        (["Cat", "dog", "cat"], "the class name 'Cat', or 'cat', is given twice"),
        (["cat"], "two classes or more, found 'cat'"),
        ([], "two classes or more, found none"),
        (["cat", " "], "a text that is not empty, found ' '"),
    ):
        with pytest.raises(InvalidInput, match=message):
            distinct_classes(names)


def test_a_data_set_brings_its_names(photos):
    dataset = ImageFolder(photos)
    assert names_of(dataset, None) == [name for name in ("blue", "green", "red") for _ in range(4)]
    with pytest.raises(InvalidInput, match="each image needs a name"):
        names_of([1, 2], None)
    bare = dataset.select(indices=list(range(8)))
    with pytest.raises(InvalidInput, match="the class 'red' has no image"):
        classes_of(bare, names_of(bare, None))
