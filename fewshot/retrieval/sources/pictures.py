"""Pictures in a folder or a zip, with or without class folders, and pictures of a data set."""

from __future__ import annotations

import warnings
from pathlib import Path

from fewshot.datasets import Dataset
from fewshot.datasets.layout import layout_of
from fewshot.datasets.listing import files_below, files_in_zip, natural_order
from fewshot.datasets.sources.files import FileImages, ZipImages
from fewshot.errors import FewshotWarning, MissingData
from fewshot.retrieval.sources.source import PictureSource


def pictures_below(path: Path) -> PictureSource:
    """All pictures of a folder, or of a zip read in place, at any depth.

    The key is the path inside; the label is the class folder, as `ImageFolder` finds it, and None outside of any.
    Other files are left out with a warning. Raises `MissingData` where there are no pictures.
    """
    in_folder = path.is_dir()
    names = files_below(path) if in_folder else files_in_zip(path)
    layout = layout_of(names, wrapped=not in_folder)
    label = dict(zip(layout.pictures, layout.classes, strict=True))
    keys = sorted([*layout.pictures, *layout.loose], key=natural_order)
    if not keys:
        raise MissingData(f"{path} has no pictures ({len(names)} other files)" if names else f"{path} is empty")
    if len(names) > len(keys):
        others = sorted(set(names) - set(keys), key=natural_order)
        shown = ", ".join(others[:5]) + (" ..." if len(others) > 5 else "")
        warnings.warn(
            f"{path}: {len(others)} files that are no pictures were left out: {shown}", FewshotWarning, stacklevel=3
        )
    images = FileImages(path, keys) if in_folder else ZipImages(path, keys)
    described = {"kind": "folder" if in_folder else "zip", "path": str(path.resolve())}
    return PictureSource(path.name, images, keys, [label.get(key) for key in keys], None, described)


def pictures_of(dataset: Dataset) -> PictureSource:
    """The pictures of a data set: its ids are the keys, its class names the labels, its groups columns."""
    import pyarrow

    groups = {
        name: pyarrow.array([grouping.names[code] for code in grouping.codes.tolist()], pyarrow.string())
        for name, grouping in dataset.groups.items()
    }
    labels = [dataset.class_names[label] for label in dataset.labels.tolist()]
    described = {"kind": "dataset", "name": dataset.name, "split": dataset.split}
    columns = pyarrow.table(groups) if groups else None
    return PictureSource(dataset.name, dataset.images, dataset.ids, labels, columns, described)
