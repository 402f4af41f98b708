"""Data sets that torchvision knows how to download: found where they lie, or fetched when asked."""

import importlib
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.errors import MissingData
from fewshot.files import cache_folder, data_folder

# what torchvision raises for files missing, downloads that fail, and archives that are damaged
_FAILURES = (RuntimeError, OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile)


def torchvision_folder(marker: str, root: str | Path | None = None) -> Path | None:
    """The folder that holds `marker`, the top folder torchvision gives a data set; None where it is not found.

    Looked for in `root`, or else in the folder `FEWSHOT_DATA` names and in the download folder.
    """
    return next((place for place in _places(root) if (place / marker).exists()), None)


def open_torchvision(
    name: str, kind: str, marker: str, root: str | Path | None, download: bool, settings: Sequence[dict[str, Any]]
) -> tuple[Path, list[Any]]:
    """Open `torchvision.datasets.<kind>` once for each of `settings`; returns the folder and the data sets.

    Files are fetched only with `download`. Raises `MissingData` saying where they were looked for, or why fetching or
    reading them failed.
    """
    found = torchvision_folder(marker, root)
    if found is None and not download:
        looked = ", ".join(str(place / marker) for place in _places(root))
        raise MissingData(
            f"{name} is not on this machine (looked for {looked}); fetch it with "
            f"load_dataset({name!r}, download=True), or put it there"
        )
    folder = found or _places(root)[-1]
    opener = getattr(importlib.import_module("torchvision.datasets"), kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder, [opener(str(folder), download=download, **setting) for setting in settings]
    except _FAILURES as error:
        did = "fetched to" if download else "read from"
        raise MissingData(f"{name} cannot be {did} {folder / marker}: {error}") from error


def _places(root: str | Path | None) -> list[Path]:
    if root is not None:
        return [Path(root)]
    folder = data_folder()
    return [*([folder] if folder else []), cache_folder() / "datasets"]
