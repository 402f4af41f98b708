"""The ground floor: errors, the registry, whole files, fingerprints."""

import os
from errno import ENOSPC

import pytest
import torch
from safetensors import safe_open

from fewshot.errors import (
    BrokenImages,
    FewshotError,
    InvalidInput,
    MissingPackage,
    UnknownName,
    UnreadableFile,
    UnwritableFile,
)
from fewshot.files import (
    cache_folder,
    data_folder,
    read_json,
    remove_unfinished,
    whole_file,
    whole_folder,
    write_json,
    write_tensors,
)
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


def test_what_cannot_be_written_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    reason = r"file/a.json cannot be written: (File exists|Not a directory); what was there before is kept"
    with pytest.raises(UnwritableFile, match=reason):
        write_json(tmp_path / "file" / "a.json", 1)
    with (
        pytest.raises(UnwritableFile, match="folder cannot be written: No space left"),
        whole_folder(tmp_path / "folder"),
    ):
        raise OSError(ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == ["file"]


def test_tensors_are_written_as_they_are(tmp_path) -> None:
    tensor = torch.arange(6.0).view(2, 3)
    tensors = {"view": tensor.mT, "same": tensor, "grad": tensor.clone().requires_grad_()}
    write_tensors(tmp_path / "a.safetensors", tensors, {"who": "me"})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata() == {"who": "me"}
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in tensors.items())


def test_unfinished_files_are_removed(tmp_path) -> None:
    for name in ("a.json", ".a.json.0123abcd", ".b.json.0123abcd"):
        (tmp_path / name).write_text("")
    remove_unfinished(tmp_path / "a.json")
    assert sorted(os.listdir(tmp_path)) == [".b.json.0123abcd", "a.json"]


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
