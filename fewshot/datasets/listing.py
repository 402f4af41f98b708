"""The files below a folder or inside a zip, as `/`-paths in natural order."""

import os
import re
from functools import cache
from pathlib import Path

from PIL import Image

from fewshot.datasets.sources.files import open_zip

# Pillow names these formats but cannot decode them by itself
_NOT_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG"}


@cache
def picture_extensions() -> frozenset[str]:
    """The endings of files that Pillow reads, in lower case and with the dot."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, form in known.items() if form in Image.OPEN and form not in _NOT_PICTURES)


def is_picture(name: str) -> bool:
    """Whether a file name ends as pictures do."""
    return os.path.splitext(name)[1].lower() in picture_extensions()


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """A sorting key that puts numbers in their order: `a2` before `a10`."""
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces if piece]


def files_below(folder: Path) -> list[str]:
    """All files below `folder` that are not hidden; links to folders are followed, but no folder is entered twice."""
    found: list[str] = []
    entered: set[str] = set()

    def walk(place: Path, prefix: str) -> None:
        """Add what lies in `place`, whose path below `folder` is `prefix`."""
        real = os.path.realpath(place)
        if real in entered:
            return
        entered.add(real)
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file():
                found.append(prefix + entry.name)

    walk(folder, "")
    return found


def files_in_zip(path: Path) -> list[str]:
    """All files in a zip that are not hidden, without the side files that macOS adds."""
    with open_zip(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return [name for name in dict.fromkeys(names) if not any(_hidden(piece) for piece in name.split("/"))]


def _hidden(piece: str) -> bool:
    return piece.startswith(".") or piece == "__MACOSX"
