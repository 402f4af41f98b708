"""What a person points at: a folder of class folders, a CSV of texts, class names, or new pictures."""

from __future__ import annotations

import csv
import glob
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

from fewshot.datasets import Dataset, ImageFolder
from fewshot.datasets.listing import files_below, is_picture
from fewshot.errors import BrokenImages, InvalidInput, MissingData, UnreadableFile

EXPECTED = (
    "give a folder with a subfolder of pictures for each class, a CSV of texts, or class names: cat,dog or a .txt"
)


@dataclass(frozen=True)
class Source:
    """Images or texts with the name of the class of each, or, where `items` is None, names of classes alone."""

    items: Dataset | list[str] | None
    names: list[str]

    @property
    def texts(self) -> bool:
        """Whether the items are texts."""
        return isinstance(self.items, list)

    @property
    def shots(self) -> int:
        """How many items a class has, the median over classes; 0 for names alone."""
        return 0 if self.items is None else median_low(Counter(self.names).values())


def read_source(given: str) -> Source:
    """A folder or zip of class folders, a .csv or .tsv of texts, a .txt of class names, or names between commas.

    Raises `MissingData` for a path that is not there or has no pictures, `InvalidInput` for a class folder without a
    picture and for a CSV without its columns, `BrokenImages` naming the files that are no pictures.
    """
    path = Path(given)
    if path.suffix.lower() in (".csv", ".tsv") and os.path.isfile(path):
        texts, names = read_texts(path, labels=True)
        return Source(texts, names)
    if path.suffix.lower() == ".txt" and os.path.isfile(path):
        return Source(None, [line.strip() for line in _read(path).splitlines() if line.strip()])
    if os.path.exists(path):  # which, unlike `Path.exists`, takes names too long for a file
        dataset = read_folder(path)
        return Source(dataset, [dataset.class_names[label] for label in dataset.labels.tolist()])
    if "," in given:
        return Source(None, [name.strip() for name in given.split(",") if name.strip()])
    raise MissingData(f"{given} does not exist; {EXPECTED}")


def read_folder(path: Path) -> Dataset:
    """The pictures of a folder, or zip, with a subfolder for each class; as `ImageFolder`, but each must have some."""
    if path.is_dir():
        folders = [each for each in sorted(path.iterdir()) if each.is_dir() and not each.name.startswith(".")]
        bare = [each.name for each in folders if not any(map(is_picture, files_below(each)))]
        if not folders:
            raise MissingData(f"{path} has no class folders; {EXPECTED}")
        if bare:
            one = len(bare) == 1
            classes, them = ("class", "it") if one else ("classes", "them")
            raise InvalidInput(
                f"{path}: the {classes} {', '.join(bare)} {'has' if one else 'have'} no image; put one or more into "
                f"{'the' if one else 'each'} folder, or remove {them}"
            )
    try:
        return ImageFolder(path)
    except BrokenImages as error:
        raise BrokenImages(str(path), error.names, "take them out of the folder") from None


def read_texts(path: Path, labels: bool) -> tuple[list[str], list[str]]:
    """The column text of a CSV (tab between columns in a .tsv), and, where `labels` are asked for, the column label.

    Raises `InvalidInput` naming the columns that are missing, or the lines with an empty cell.
    """
    wanted = ["text", "label"] if labels else ["text"]
    lines = _read(path).splitlines(keepends=True)
    reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", skipinitialspace=True)
    columns = list(reader.fieldnames or [])
    if missing := [name for name in wanted if name not in columns]:
        raise InvalidInput(
            f"{path} needs the column{'s'[: len(wanted) - 1]} {' and '.join(wanted)} in its first line, and lacks "
            f"{' and '.join(missing)}; found {', '.join(columns) or 'nothing'}"
        )
    rows, empty = [], []
    for row in reader:
        rows.append([(row[name] or "").strip() for name in wanted])
        if not all(rows[-1]):
            empty.append(reader.line_num)
    if empty:
        listed = ", ".join(map(str, empty[:10])) + (f" and {len(empty) - 10} more" if len(empty) > 10 else "")
        raise InvalidInput(f"{path}: {' or '.join(wanted)} is empty in line {listed}; fill it in or remove the line")
    if not rows:
        raise InvalidInput(f"{path} has no texts below its first line")
    return [row[0] for row in rows], [row[-1] for row in rows] if labels else []


def read_descriptions(path: Path) -> dict[str, list[str]]:
    """Sentences about classes: a JSON object of a sentence, or a list of them, for each name."""
    try:
        content = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"{path} is not readable JSON ({error})") from None
    if isinstance(content, dict):
        found = {name: [each] if isinstance(each, str) else each for name, each in content.items()}
        if all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in found.values()):
            return found
    raise InvalidInput(f'{path} must describe classes as {{"name": ["a sentence", "another"]}}')


def find_items(given: list[str], texts: bool) -> list[str]:
    """The texts of the .csv files that are given, or the paths of the pictures; see `read_texts`, `find_pictures`."""
    tables = [Path(name).suffix.lower() in (".csv", ".tsv") for name in given]
    if texts and not all(tables):
        raise InvalidInput(f"the model classifies texts and {given[tables.index(False)]} is no .csv with a column text")
    if texts:
        return [text for name in given for text in read_texts(Path(name), labels=False)[0]]
    if any(tables):
        raise InvalidInput(f"the model classifies pictures and {given[tables.index(True)]} is a table of texts")
    return find_pictures(given)


def find_pictures(given: list[str]) -> list[str]:
    """The picture files that are named, or match a pattern such as `*.jpg`, or lie in a folder; each once, in order.

    Raises `MissingData` for a path that is not there, or where there is no picture.
    """
    found: list[str] = []
    for name in given:
        path = Path(name)
        if os.path.isdir(path):
            below = [str(path / file) for file in files_below(path) if is_picture(file)]
        elif os.path.exists(path):
            below = [name]
        else:
            below = sorted(each for each in glob.glob(name, recursive=True) if is_picture(each))
        if not below:
            reason = "has no pictures" if os.path.isdir(path) else "does not exist, nor does a picture match it"
            raise MissingData(f"{name} {reason}; give pictures, folders of them, or patterns such as 'new/*.jpg'")
        found += below
    return list(dict.fromkeys(found))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from None
