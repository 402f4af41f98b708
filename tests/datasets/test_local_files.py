import pytest

from fewshot.datasets.local_files import local_file, required_file
from fewshot.errors import MissingData


def test_a_file_below_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    assert local_file("set/a.zip") is None
    with pytest.raises(MissingData, match=f"birds needs the file set/a.zip .* \\(looked in {tmp_path}\\)"):
        required_file("birds", "set/a.zip")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.zip").touch()
    assert local_file("set/a.zip") == required_file("birds", "set/a.zip") == tmp_path / "set" / "a.zip"


def test_no_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path / "none"))
    with pytest.raises(MissingData, match=r"\(FEWSHOT_DATA names no folder\)"):
        required_file("birds", "set/a.zip")
