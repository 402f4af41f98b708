from urllib.error import URLError

import pytest

from fewshot.datasets import load_dataset
from fewshot.datasets.torchvision_files import torchvision_folder
from fewshot.errors import MissingData


def test_the_data_folder_is_looked_in_before_the_downloads(tmp_path, monkeypatch):
    data, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("FEWSHOT_DATA", str(data))
    monkeypatch.setenv("FEWSHOT_CACHE", str(cache))
    assert torchvision_folder("eurosat") is None
    (cache / "datasets" / "eurosat").mkdir(parents=True)
    assert torchvision_folder("eurosat") == cache / "datasets"
    (data / "eurosat").mkdir(parents=True)
    assert torchvision_folder("eurosat") == data
    assert torchvision_folder("eurosat", root=tmp_path) is None


def test_missing_files_say_where_they_were_looked_for(tmp_path):
    with pytest.raises(MissingData) as caught:
        load_dataset("eurosat", root=tmp_path)
    assert str(tmp_path / "eurosat") in str(caught.value)
    assert "load_dataset('eurosat', download=True)" in str(caught.value)


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    def no_network(*arguments, **settings):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", no_network)
    with pytest.raises(MissingData, match=r"eurosat cannot be fetched to .*eurosat: <urlopen error no route to host>"):
        load_dataset("eurosat", root=tmp_path, download=True)


def test_cars_cannot_be_fetched(tmp_path):
    with pytest.raises(MissingData, match="stanford-cars cannot be fetched to .*: The original URL is broken"):
        load_dataset("stanford-cars", root=tmp_path, download=True)


def test_a_folder_that_lacks_its_files_says_so(tmp_path):
    (tmp_path / "food-101" / "meta").mkdir(parents=True)
    (tmp_path / "food-101" / "images").mkdir()
    with pytest.raises(MissingData, match="food-101 cannot be read from .*train.json"):
        load_dataset("food-101", root=tmp_path)
