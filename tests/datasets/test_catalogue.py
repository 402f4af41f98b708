import json
import subprocess
import sys

import pytest

import fewshot
from fewshot.datasets import DatasetInfo, describe_dataset, list_datasets, load_dataset, register_dataset
from fewshot.datasets.catalogue import _DATASETS
from fewshot.errors import FewshotWarning, InvalidInput, SplitError, UnknownName

EMBEDDED = {"digits", "glyphs", "glyphs-small", "openmoji", "openmoji-small"}
LOCAL = {"omniglot", "cifar-fs", "fc100", "caltech101", "grocery-store", "mnist-usps"}
DOWNLOADS = {"flowers-102", "oxford-pets", "fgvc-aircraft", "dtd", "eurosat", "food-101", "stanford-cars", "sun397"}
FOLDERS = {"imagenet", "imagenet-a", "imagenet-r", "imagenet-sketch", "imagenet-v2", "ucf101-midframes"}


@pytest.fixture
def register(monkeypatch):
    """Registration that is undone after the test."""
    monkeypatch.setattr(_DATASETS, "_entries", dict(_DATASETS._entries))
    return register_dataset


def test_names():
    assert set(list_datasets()) == EMBEDDED | LOCAL | DOWNLOADS | FOLDERS
    assert list_datasets("cifar*") == ["cifar-fs"]
    assert fewshot.list_datasets is list_datasets


@pytest.mark.parametrize("name", sorted(EMBEDDED | LOCAL | DOWNLOADS | FOLDERS))
def test_facts_are_told_without_loading(name):
    facts = json.loads(json.dumps(describe_dataset(name)))
    assert facts["name"] == name
    assert facts["summary"]
    assert facts["source"]
    assert facts["licence"]
    assert facts["classes"] > 1
    assert facts["items"] >= facts["classes"]
    assert facts["available"] == (facts["located"] is not None)
    assert sum(facts["splits"].values()) in (0, facts["classes"], 2 * facts["classes"])


def test_telling_facts_imports_nothing_heavy():
    code = (
        "import sys; from fewshot.datasets import describe_dataset, list_datasets\n"
        "[describe_dataset(name) for name in list_datasets()]\n"
        "print([name for name in ('sklearn', 'matplotlib', 'torchvision', 'emoji', 'resvg_py') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_one_s_own_by_a_decorated_function(register, make_dataset):
    @register("my-birds")
    def my_birds(count: int = 4) -> fewshot.Dataset:
        """Birds of the garden.

        At four in the morning.
        """
        return make_dataset(
            list(range(count)), count, splits={"half": {"a": ["class0"], "b": ["class1", "class2", "class3"]}}
        )

    assert load_dataset("my-birds", "b").class_names == ("class1", "class2", "class3")
    facts = describe_dataset("my-birds")
    assert (facts["summary"], facts["options"]) == ("Birds of the garden.", ["count"])
    with pytest.raises(InvalidInput, match="my-birds has no option 'size'; it takes: count"):
        load_dataset("my-birds", size=3)
    with pytest.raises(
        SplitError, match=r"my-birds \(half\): the splits name class 'class3' that the data do not have"
    ):
        load_dataset("my-birds", count=3)
    with pytest.raises(InvalidInput, match="a data set called 'my-birds' is already registered"):
        register("my-birds")(my_birds)


def test_shared_classes_are_refused_even_for_the_whole(register, make_dataset):
    splits = {"half": {"a": ["class0", "class1"], "b": ["class1"]}}
    register("leaky")(lambda: make_dataset([0, 1], 2, splits=splits))
    with pytest.raises(SplitError, match=r"leaky \(half\): class 'class1' in more than one split"):
        load_dataset("leaky")


def test_equal_pictures_across_splits_are_told_unless_known(register, make_folder, make_zip):
    path = make_zip({"train/cat/1.png": 1, "test/dog/2.png": 1})

    def twins():
        with pytest.warns(FewshotWarning):
            return fewshot.ImageFolder(path)

    register("twins")(twins)
    with pytest.warns(FewshotWarning, match="1 pairs of equal pictures"):
        load_dataset("twins")
    pair = ("train/cat/1.png", "test/dog/2.png")
    register("known-twins", DatasetInfo(known_duplicates=(pair,)))(twins)
    load_dataset("known-twins")
    assert describe_dataset("known-twins")["known_duplicates"] == [list(pair)]


def test_broken_pictures_are_left_out_when_asked(register, make_folder, picture_file):
    png = picture_file(1, size=(60, 40))
    folder = make_folder({"a/1.png": 1, "a/2.png": png[:900]})
    register("cut")(lambda: fewshot.ImageFolder(folder))
    assert len(load_dataset("cut")) == 2
    with pytest.warns(FewshotWarning, match=r"1 images cannot be read and were left out: a/2.png"):
        assert load_dataset("cut", skip_broken=True).ids == ("a/1.png",)


def test_paths_are_names_too(make_folder, make_zip):
    files = {"train/cat/1.png": 1, "test/dog/2.png": 2}
    assert load_dataset(f"folder:{make_folder(files)}", "test").class_names == ("dog",)
    assert load_dataset(f"zip:{make_zip(files)}", split="train", name="pets").name == "pets"
    with pytest.raises(InvalidInput, match="has no option 'size'; it takes: name"):
        load_dataset(f"folder:{make_folder(files)}", size=3)


@pytest.mark.parametrize("ask", [load_dataset, describe_dataset])
def test_an_unknown_name_is_answered_with_near_ones(ask):
    with pytest.raises(UnknownName, match="no data set is called 'omniglott'; near: omniglot.*folder:PATH or zip:PATH"):
        ask("omniglott")
