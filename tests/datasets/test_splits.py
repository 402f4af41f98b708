from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot.datasets import check_splits, select_split
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.datasets.splits import duplicates_across_splits, warn_of_duplicates
from fewshot.errors import FewshotWarning, SplitError

HALVES = {"halves": {"train": ["class0", "class2"], "test": ["class1", "class3"]}}
names = st.lists(st.sampled_from("abcdef"), unique=True)


@given(classes=names, train=names, test=names)
def test_only_a_partition_of_the_classes_passes(classes, train, test):
    is_partition = not set(train) & set(test) and set(train) | set(test) == set(classes)
    if is_partition:
        check_splits("letters", classes, {"train": train, "test": test})
    else:
        with pytest.raises(SplitError, match="letters: "):
            check_splits("letters", classes, {"train": train, "test": test})


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (
            {"train": ["a", "b"], "test": ["b", "c"]},
            r"x: class 'b' in more than one split \('b': train, test\); few-shot",
        ),
        (
            {"train": ["a", "b", "c"], "test": ["d", "e"]},
            "x: the splits name classes 'd', 'e' that the data do not have",
        ),
        ({"train": ["a"], "test": ["b"]}, r"x: class 'c' in no split \(train, test\)"),
    ],
)
def test_the_message_names_the_classes(splits, message):
    with pytest.raises(SplitError, match=message):
        check_splits("x", ["a", "b", "c"], splits)


def test_many_classes_are_named_in_part():
    classes = [f"c{index}" for index in range(8)]
    with pytest.raises(SplitError, match="classes 'c0', 'c1', 'c2', 'c3', 'c4' and 3 more in more than one split"):
        check_splits("x", classes, {"train": classes, "test": classes})


def test_a_split_has_its_classes_in_the_order_of_the_list(make_dataset):
    dataset = make_dataset(
        [0, 1, 2, 3, 0], 4, splits={"halves": {"train": ["class2", "class0"], "test": ["class1", "class3"]}}
    )
    train = select_split(dataset, "train")
    assert (train.class_names, train.split, train.splits) == (("class2", "class0"), "train", {})
    assert (train.ids, train.labels.tolist()) == (("item0", "item2", "item4"), [1, 0, 1])
    assert select_split(dataset, "all") is dataset


def test_splits_are_joined_in_the_order_named(make_dataset):
    thirds = {"train": ["class2"], "val": ["class0"], "test": ["class1", "class3"]}
    dataset = make_dataset(
        [0, 1, 2, 3, 0],
        4,
        splits={"thirds": thirds, "sides": {"low": ["class0", "class1"], "a+b": ["class2", "class3"]}},
    )
    both = select_split(dataset, "train+val")
    assert (both.class_names, both.split) == (("class2", "class0"), "train+val")
    assert (both.ids, both.labels.tolist()) == (("item0", "item2", "item4"), [1, 0, 1])
    assert select_split(dataset, "a+b").class_names == ("class2", "class3")  # a folder may be called so
    with pytest.raises(SplitError, match=r"no split 'train\+low'; there are: all, train, val, test, low, a\+b"):
        select_split(dataset, "train+low")
    with pytest.raises(SplitError, match=r"train\+train has a split twice"):
        select_split(dataset, "train+train")


def test_splits_of_several_schemes(make_dataset):
    thirds = {"low": ["class0"], "high": ["class1", "class2", "class3"]}
    dataset = make_dataset([0, 1, 2, 3], 4, splits={**HALVES, "thirds": thirds})
    assert select_split(dataset, "test").class_names == ("class1", "class3")
    assert select_split(dataset, "low").class_names == ("class0",)
    with pytest.raises(SplitError, match="small has no split 'dev'; there are: all, train, test, low, high"):
        select_split(dataset, "dev")


def test_equal_pictures_across_splits(make_dataset):
    dataset = make_dataset([0, 1, 2, 3, 0], 4, splits=HALVES)
    assert duplicates_across_splits(dataset) == []
    warn_of_duplicates(dataset)
    pixels = np.array([5, 5, 5, 7, 7], dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    dataset = replace(dataset, images=ArrayImages(pixels))
    pairs = [("item0", "item1"), ("item3", "item4")]  # item0 and item2 are both of the training classes
    assert duplicates_across_splits(dataset) == pairs
    with pytest.warns(
        FewshotWarning, match="2 pairs of equal pictures stand in different splits: item0 = item1; item3"
    ):
        warn_of_duplicates(dataset)
    with pytest.warns(FewshotWarning, match="1 pairs of equal pictures stand in different splits: item3 = item4"):
        warn_of_duplicates(dataset, known=[("item1", "item0")])
    warn_of_duplicates(dataset, known=pairs)
