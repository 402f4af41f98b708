"""Data sets kept in the folder that `FEWSHOT_DATA` names."""

from pathlib import Path

from fewshot.errors import MissingData
from fewshot.files import data_folder


def local_file(relative: str) -> Path | None:
    """The file at `relative` below the data folder, or None where there is none."""
    folder = data_folder()
    path = folder / relative if folder else None
    return path if path and path.exists() else None


def required_file(dataset: str, relative: str) -> Path:
    """Like `local_file`; raises `MissingData` saying where it was looked for."""
    path = local_file(relative)
    if path is None:
        folder = data_folder()
        place = f"looked in {folder}" if folder else "FEWSHOT_DATA names no folder"
        raise MissingData(f"{dataset} needs the file {relative} below the folder that FEWSHOT_DATA names ({place})")
    return path
