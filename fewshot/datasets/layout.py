"""How the files below a folder or inside a zip make classes and parts, told from their names alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot.datasets.listing import is_picture, natural_order

PART_FOLDERS = ("train", "training", "val", "valid", "validation", "test", "testing")


@dataclass(frozen=True)
class Layout:
    """`pictures` in natural order, the class and the part (where there are parts) of each, and what is left over.

    `loose` are pictures outside the class folders, `bare` class folders whose files are no pictures.
    """

    pictures: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[str, ...] | None
    loose: tuple[str, ...]
    bare: tuple[str, ...]


def layout_of(names: Sequence[str], wrapped: bool = False) -> Layout:
    """The layout CLASS/picture, or PART/CLASS/picture where all top folders are called train, val, test or the like.

    With `wrapped`, single folders around it all are passed over, as zips often have one.
    """
    files = [name.split("/") for name in sorted(names, key=natural_order)]
    pictures = [file for file in files if is_picture(file[-1])]
    depth = _wrapping_folders(pictures) if wrapped else 0
    tops = {file[depth].lower() for file in pictures if len(file) > depth + 1}
    in_parts = bool(tops) and tops <= set(PART_FOLDERS)
    level = depth + in_parts
    placed = [file for file in pictures if len(file) > level + 1]
    classes = [file[level] for file in placed]
    return Layout(
        pictures=tuple("/".join(file) for file in placed),
        classes=tuple(classes),
        parts=tuple(file[depth] for file in placed) if in_parts else None,
        loose=tuple("/".join(file) for file in pictures if len(file) <= level + 1),
        bare=tuple(sorted({file[level] for file in files if len(file) > level + 1} - set(classes))),
    )


def _wrapping_folders(pictures: Sequence[Sequence[str]]) -> int:
    depth = 0
    while pictures and all(len(file) > depth + 2 for file in pictures) and len({file[depth] for file in pictures}) == 1:
        depth += 1
    return depth
