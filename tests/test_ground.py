"""The ground floor: errors, the registry, whole files, fingerprints."""

import os

import pytest
import torch

from fewshot.errors import BrokenImages, FewshotError, InvalidInput, MissingPackage, UnknownName, UnreadableFile
from fewshot.files import cache_folder, data_folder, read_json, whole_file, whole_folder, write_json
from fewshot.fingerprint import fingerprint
from fewshot.registry import Registry


def test_unknown_name_lists_the_near_ones() -> None:
    error = UnknownName("learner", "protypical", ["prototypical", "ridge"])
    assert isinstance(error, FewshotError)
    assert str(error) == "no learner is called 'protypical'; near: prototypical (of 2)"


def test_missing_package_says_what_to_install() -> None:
    assert "pip install 'fewshot[offline]'" in str(MissingPackage("emoji", "openmoji", "offline"))


def test_broken_images_lists_ten_and_counts_the_rest() -> None:
    error = BrokenImages("photos", [f"{number}.jpg" for number in range(12)])
    assert "12 images cannot be read" in str(error)
    assert "9.jpg and 2 more" in str(error)
    assert len(error.names) == 12


def test_registry() -> None:
    registry: Registry[int] = Registry("shape")
    registry.register("square")(4)
    assert registry["square"] == 4
    assert registry.names("s*") == ["square"]
    assert "circle" not in registry
    with pytest.raises(InvalidInput, match="'square' is already registered"):
        registry.add("square", 5)
    with pytest.raises(UnknownName, match="no shape is called 'sqare'; near: square"):
        registry["sqare"]


def test_whole_file_keeps_the_old_content_when_writing_fails(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), whole_file(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_whole_folder_replaces_or_stays(tmp_path) -> None:
    folder = tmp_path / "table"
    with whole_folder(folder) as beside:
        (beside / "one").write_text("1")
    with pytest.raises(RuntimeError), whole_folder(folder) as beside:
        (beside / "two").write_text("2")
        raise RuntimeError
    assert [path.name for path in folder.iterdir()] == ["one"]
    with whole_folder(folder) as beside:
        (beside / "three").write_text("3")
    assert [path.name for path in folder.iterdir()] == ["three"]
    assert os.listdir(tmp_path) == ["table"]


def test_read_json_names_the_file(tmp_path) -> None:
    with pytest.raises(UnreadableFile, match="none.json does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"a": ')
    with pytest.raises(UnreadableFile, match="cut.json is not readable JSON"):
        read_json(tmp_path / "cut.json")


def test_fingerprint_tells_content_apart() -> None:
    ones = torch.ones(2, 3)
    assert fingerprint(ones) == fingerprint(ones.clone())
    assert len({fingerprint(ones), fingerprint(ones.mT), fingerprint(ones.int()), fingerprint(ones + 1e-7)}) == 4
    assert fingerprint("a", "b") != fingerprint("ab")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint("few", torch.arange(3), b"shot") == fingerprint("few", torch.tensor([0, 1, 2]), b"shot")
    assert fingerprint("few", torch.arange(3), b"shot") == "e00610aaf5665a11"


def test_folders_from_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    assert data_folder() == tmp_path.resolve()
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path / "missing"))
    assert data_folder() is None
    monkeypatch.delenv("FEWSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fewshot"
