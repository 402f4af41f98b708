"""One's own pictures: a folder, or a zip read in place, with a subfolder for each class."""

import warnings
from collections import defaultdict
from pathlib import Path

import torch

from fewshot.datasets.broken import refuse_suspects, without_broken
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.datasets.layout import Layout, layout_of
from fewshot.datasets.listing import files_below, files_in_zip, natural_order
from fewshot.datasets.sources.files import FileImages, ZipImages
from fewshot.datasets.splits import select_split, shared_classes, warn_of_duplicates
from fewshot.errors import FewshotWarning, MissingData, SplitError


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
    in_folder = path.is_dir()
    layout = layout_of(files_below(path)) if in_folder else layout_of(files_in_zip(path), wrapped=True)
    if not layout.pictures:
        raise MissingData(
            f"{path} has no pictures in class folders ({len(layout.loose)} pictures outside of any); "
            "expected CLASS/picture.jpg, a folder for each class"
        )
    _warn_of_leftovers(path, layout)
    images: Images = FileImages(path, layout.pictures) if in_folder else ZipImages(path, layout.pictures)
    dataset = _labelled(name or path.stem, images, layout)
    if skip_broken:
        dataset = without_broken(dataset)
    else:
        refuse_suspects(dataset)
    if images.quick_digests:
        warn_of_duplicates(dataset)
    return _select_part(dataset, split)


def _labelled(name: str, images: Images, layout: Layout) -> Dataset:
    class_names = sorted(set(layout.classes), key=natural_order)
    number = {class_name: index for index, class_name in enumerate(class_names)}
    groups, splits = {}, {}
    if layout.parts is not None:
        groups["part"] = Grouping.of(layout.parts)
        members = defaultdict(set)
        for part, class_name in zip(layout.parts, layout.classes, strict=True):
            members[part].add(class_name)
        splits["folders"] = {part: sorted(members[part], key=natural_order) for part in sorted(members)}
    labels = torch.tensor([number[class_name] for class_name in layout.classes])
    return Dataset(name, images, labels, tuple(class_names), layout.pictures, groups=groups, splits=splits)


def _select_part(dataset: Dataset, split: str) -> Dataset:
    try:
        return select_split(dataset, split)
    except SplitError as error:
        if not shared_classes(dataset.splits.get("folders", {})):
            raise
        raise SplitError(f"{error}; for the images of one part: .select(where={{'part': {split!r}}})") from None


def _warn_of_leftovers(path: Path, layout: Layout) -> None:
    for what, names in (
        ("pictures outside the class folders", layout.loose),
        ("class folders without a picture of a known format", layout.bare),
    ):
        if names:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            warnings.warn(f"{path}: {len(names)} {what} were left out: {shown}", FewshotWarning, stacklevel=3)
