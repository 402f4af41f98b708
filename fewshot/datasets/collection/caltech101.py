"""Caltech-101: photos of objects (Fei-Fei et al. 2004)."""

from pathlib import Path

import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.listing import files_below, files_in_zip, natural_order
from fewshot.datasets.local_files import local_file
from fewshot.datasets.sources.files import EncodedImages, FileImages, ZipImages
from fewshot.datasets.torchvision_files import open_torchvision, torchvision_folder

LOCAL = "caltech101/caltech101_84.zip"
MARKER = "caltech101/101_ObjectCategories"

INFO = DatasetInfo(
    summary="photos of objects",
    classes=101,
    items=8677,
    source=f"CaltechDATA, doi 10.22002/D1.20086; {LOCAL} in FEWSHOT_DATA holds 5,815 of 99 classes at 84 x 84",
    licence="CC BY 4.0",
    located=lambda: local_file(LOCAL) or torchvision_folder(MARKER),
)


@register_dataset("caltech101", INFO)
def caltech101(root: str | Path | None = None, download: bool = False) -> Dataset:
    """Photos of objects, without the background class; there is no usual class split."""
    archive = local_file(LOCAL) if root is None else None
    images = _from_zip(archive) if archive else _from_torchvision(root, download)
    classes = [name.partition("/")[0] for name in images.names]
    class_names = sorted(set(classes))
    number = {name: index for index, name in enumerate(class_names)}
    labels = torch.tensor([number[name] for name in classes])
    return Dataset("caltech101", images, labels, tuple(class_names), images.names)


def _from_zip(path: Path) -> EncodedImages:
    return ZipImages(path, files_in_zip(path))  # class/file.jpg


def _from_torchvision(root: str | Path | None, download: bool) -> EncodedImages:
    folder, _ = open_torchvision("caltech101", "Caltech101", MARKER, root, download, [{}])
    names = [name for name in files_below(folder / MARKER) if name.endswith(".jpg") and "BACKGROUND" not in name]
    return FileImages(folder / MARKER, sorted(names, key=natural_order))
