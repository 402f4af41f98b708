"""One's own pictures: a folder, or a zip read in place, with a subfolder for each class."""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from fewshot.datasets.broken import refuse_suspects, without_broken
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.datasets.listing import files_below, is_picture, natural_order, picture_names_in_zip
from fewshot.datasets.sources.files import FileImages, ZipImages
from fewshot.datasets.splits import select_split
from fewshot.errors import FewshotWarning, MissingData, SplitError

SPLIT_FOLDERS = ("train", "training", "val", "valid", "validation", "test", "testing")


def ImageFolder(path: str | Path, split: str = "all", *, skip_broken: bool = False, name: str | None = None) -> Dataset:
    """Load `path/class/picture.jpg`, at any depth below a class, or the same inside a zip.

    Where all top folders are called train, val or test (also training, valid, validation, testing), classes are their
    subfolders: a group "part" tells them apart, and `split="train"` takes the classes of one. Splits must not share
    classes; for the images of one part of shared classes use `.select(where={"part": "train"})`.

    All formats that Pillow reads, in natural order (2 before 10); hidden files are passed over; a link to a folder is
    followed, never in a circle. Empty files and files that are no pictures raise `BrokenImages` now, naming each; one
    cut short raises it when it is decoded. With `skip_broken=True` all are decoded once and the broken ones left out
    with a warning. Raises `MissingData` where there is nothing to load, `UnreadableFile` for a damaged zip.
    """
    path = Path(path)
    if not path.exists():
        raise MissingData(f"{path} does not exist; give a folder (or zip) with a subfolder of pictures for each class")
    names = files_below(path) if path.is_dir() else picture_names_in_zip(path)
    pictures = [file for file in names if is_picture(file)]
    depth = _wrapping_folders(pictures) if path.is_file() else 0
    tops = {file.split("/")[depth] for file in pictures if file.count("/") > depth}
    in_parts = bool(tops) and all(top.lower() in SPLIT_FOLDERS for top in tops)
    class_depth = depth + in_parts

    placed = sorted((file for file in pictures if file.count("/") > class_depth), key=natural_order)
    if not placed:
        raise MissingData(
            f"{path} has no pictures in class folders ({len(pictures)} pictures outside of any, "
            f"{len(names) - len(pictures)} other files); expected CLASS/picture.jpg, a folder for each class"
        )
    _warn_of_loose(path, [file for file in pictures if file.count("/") <= class_depth])
    images: Images = FileImages(path, placed) if path.is_dir() else ZipImages(path, placed)
    classes = [file.split("/")[class_depth] for file in placed]
    parts = [file.split("/")[depth] for file in placed] if in_parts else None
    dataset = _labelled(name or path.stem, images, placed, classes, parts)
    if skip_broken:
        dataset = without_broken(dataset)
    else:
        refuse_suspects(dataset)
    return _select_part(dataset, split)


def _labelled(
    name: str, images: Images, ids: Sequence[str], classes: Sequence[str], parts: Sequence[str] | None
) -> Dataset:
    class_names = sorted(set(classes), key=natural_order)
    number = {class_name: index for index, class_name in enumerate(class_names)}
    groups, splits = {}, {}
    if parts is not None:
        groups["part"] = Grouping.of(parts)
        members = defaultdict(set)
        for part, class_name in zip(parts, classes, strict=True):
            members[part].add(class_name)
        splits["folders"] = {part: sorted(names, key=natural_order) for part, names in members.items()}
    labels = torch.tensor([number[class_name] for class_name in classes])
    return Dataset(name, images, labels, tuple(class_names), tuple(ids), groups=groups, splits=splits)


def _select_part(dataset: Dataset, split: str) -> Dataset:
    try:
        return select_split(dataset, split)
    except SplitError as error:
        if "more than one split" not in str(error):
            raise
        raise SplitError(f"{error}; for the images of one part: .select(where={{'part': {split!r}}})") from None


def _wrapping_folders(pictures: Sequence[str]) -> int:
    """How many single folders a zip has around the class folders; `photos/cat/1.jpg, photos/dog/1.jpg` has one."""
    depth = 0
    while pictures and all(file.count("/") > depth + 1 for file in pictures):
        if len({file.split("/")[depth] for file in pictures}) > 1:
            break
        depth += 1
    return depth


def _warn_of_loose(path: Path, loose: Sequence[str]) -> None:
    if loose:
        shown = ", ".join(loose[:5]) + (" ..." if len(loose) > 5 else "")
        warnings.warn(
            f"{path}: {len(loose)} pictures outside the class folders were left out: {shown}",
            FewshotWarning,
            stacklevel=3,
        )
