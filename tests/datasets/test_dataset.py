import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from fewshot.datasets import Dataset, Grouping
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.errors import InvalidInput, UnknownName

fixture_is_a_function = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def brightness(dataset):
    return [np.asarray(picture)[0, 0, 0] for picture, _ in dataset]


def test_an_item_is_a_picture_and_its_label(make_dataset):
    dataset = make_dataset([2, 0, 1], classes=3)
    picture, label = dataset[1]
    assert (picture.mode, picture.size, label, type(label)) == ("RGB", (2, 2), 0, int)
    assert np.asarray(dataset[-1][0])[0, 0].tolist() == [2, 2, 2]
    with pytest.raises(IndexError):
        dataset[3]
    assert [label for _, label in dataset] == [2, 0, 1]
    assert repr(dataset) == "<Dataset small (all): 3 images of 3 classes, groups parity>"
    assert dataset.class_counts.tolist() == [1, 1, 1]


@fixture_is_a_function
@given(data=st.data())
def test_selection_agrees_with_a_plain_loop(make_dataset, data):
    classes = data.draw(st.integers(1, 4))
    labels = data.draw(st.lists(st.integers(0, classes - 1), max_size=12))
    dataset = make_dataset(labels, classes)
    count = len(labels)
    picks = data.draw(st.none() | st.permutations(range(count)).map(lambda order: order[: count // 2 + 1]))
    from_the_end = data.draw(st.booleans())
    wanted = data.draw(st.none() | st.lists(st.integers(0, classes - 1), unique=True))
    parity = data.draw(st.none() | st.sampled_from(["even", "odd"]))
    by_name = data.draw(st.booleans())

    expected = []
    for place in range(count) if picks is None else picks:
        in_class = wanted is None or labels[place] in wanted
        in_group = parity is None or place % 2 == ["even", "odd"].index(parity)
        if in_class and in_group:
            expected.append((place, labels[place] if wanted is None else wanted.index(labels[place])))
    if picks is not None and from_the_end:
        picks = [pick - count for pick in picks]
    names = wanted if wanted is None or not by_name else [f"class{index}" for index in wanted]
    chosen = dataset.select(indices=picks, classes=names, where=None if parity is None else {"parity": parity})

    assert brightness(chosen) == [place for place, _ in expected]
    assert chosen.labels.tolist() == [label for _, label in expected]
    assert chosen.ids == tuple(f"item{place}" for place, _ in expected)
    assert chosen.groups["parity"].codes.tolist() == [place % 2 for place, _ in expected]
    assert chosen.class_names == (dataset.class_names if wanted is None else tuple(f"class{index}" for index in wanted))


def test_selecting_twice_is_selecting_from_the_first_selection(make_dataset):
    dataset = make_dataset([0, 1, 2, 0, 1, 2], classes=3)
    twice = dataset.select(indices=[5, 3, 1]).select(indices=torch.tensor([True, False, True]))
    assert twice.ids == ("item5", "item1")
    assert brightness(twice) == [5, 1]


def test_a_single_class_may_be_given_by_its_name(make_dataset):
    assert make_dataset([0, 1, 0], classes=2).select(classes="class0").ids == ("item0", "item2")


def test_several_values_of_a_group(make_dataset):
    assert len(make_dataset([0, 1, 0], classes=2).select(where={"parity": ["even", "odd"]})) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"classes": ["class9"]}, UnknownName, "no class of small is called 'class9'; near: class"),
        ({"classes": [7]}, InvalidInput, r"small has the classes 0..1; found 7"),
        ({"classes": ["class0", 0]}, InvalidInput, "'class0' is there more than once"),
        ({"where": {"font": "serif"}}, UnknownName, "no group of small is called 'font'; near: parity"),
        ({"where": {"parity": "prime"}}, UnknownName, "no parity of small is called 'prime'"),
        ({"indices": [0, 3]}, InvalidInput, "index 3 is outside the 3 items"),
        ({"indices": [0.5]}, InvalidInput, "one row of integers or a bool mask, not torch.float32"),
        ({"indices": [[0]]}, InvalidInput, r"of shape \[1, 1\]"),
        ({"indices": [1, 1]}, InvalidInput, "ids must differ; 'item1' is there more than once"),
        ({"indices": [True]}, InvalidInput, r"a bool mask must have one entry an item \(3\); found 1"),
    ],
)
def test_bad_selections_say_what_is_wrong(make_dataset, arguments, error, message):
    with pytest.raises(error, match=message):
        make_dataset([0, 1, 0], classes=2).select(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([0, 1])}, "3 for images, 2 for labels, 3 for ids"),
        ({"groups": {"font": Grouping(torch.tensor([0]), ("serif",))}}, "1 for group 'font'"),
        ({"labels": torch.tensor([0, 1, 2])}, r"labels must lie in 0..1; found 0..2"),
        ({"labels": torch.tensor([0, -1, 1])}, r"labels must lie in 0..1; found -1..1"),
        ({"ids": ("a", "b", "a")}, "ids must differ; 'a' is there more than once"),
        ({"class_names": ("x", "x")}, "class names must differ; 'x' is there more than once"),
    ],
)
def test_parts_that_do_not_agree_are_refused(make_dataset, change, message):
    with pytest.raises(InvalidInput, match=message):
        replace(make_dataset([0, 1, 0], classes=2), **change)


def test_the_fingerprint_is_of_the_content_and_not_of_the_name(make_dataset):
    dataset = make_dataset([0, 1, 0], classes=2)
    assert replace(dataset, name="other").fingerprint == dataset.fingerprint
    assert pickle.loads(pickle.dumps(dataset)).fingerprint == dataset.fingerprint
    pixels = dataset.images.pixels.copy()
    pixels[2, 0, 0] += 1
    changed = [
        replace(dataset, images=ArrayImages(pixels)),
        replace(dataset, labels=torch.tensor([0, 1, 1])),
        replace(dataset, ids=("item0", "item1", "item3")),
        replace(dataset, class_names=("class0", "class2")),
        replace(dataset, groups={}),
        dataset.select(indices=[0, 1]),
        dataset.select(indices=[0, 2, 1]),
    ]
    assert len({other.fingerprint for other in changed} | {dataset.fingerprint}) == len(changed) + 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_from_one_zip(make_zip, method):
    from fewshot.datasets import ImageFolder

    files = {f"{name}/{index}.png": 10 * place + index for place, name in enumerate("ab") for index in range(6)}
    dataset = ImageFolder(make_zip(files))
    expected = [np.asarray(picture).tolist() for picture, _ in dataset]  # the zip is open before the workers start
    workers = 2 if method == "fork" else 1  # each spawned one imports torch anew
    loader = DataLoader(dataset, 3, num_workers=workers, collate_fn=_as_lists, multiprocessing_context=method)
    assert [pixels for batch in loader for pixels in batch] == expected


def _as_lists(batch):
    return [np.asarray(picture).tolist() for picture, _ in batch]


def test_an_empty_data_set_is_a_data_set():
    nothing = Dataset("nothing", ArrayImages(np.zeros((0, 2, 2), np.uint8)), torch.tensor([]), (), ())
    assert (len(nothing), list(nothing), nothing.select().ids) == (0, [], ())
    assert nothing.fingerprint
