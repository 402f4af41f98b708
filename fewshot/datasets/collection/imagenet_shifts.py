"""ImageNet's classes in other pictures: V2 (Recht 2019), Sketch (Wang 2019), A and R (Hendrycks 2021)."""

from __future__ import annotations

from pathlib import Path

import torch

from fewshot.datasets.catalogue import DatasetInfo, Loader, register_dataset
from fewshot.datasets.collection.imagenet import imagenet_names
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.listing import files_below, is_picture, natural_order
from fewshot.datasets.local_files import local_file, required_file
from fewshot.datasets.sources.files import FileImages
from fewshot.errors import UnreadableFile


def _info(name: str, summary: str, classes: int, items: int, source: str, folders: str = "WNID") -> DatasetInfo:
    return DatasetInfo(
        summary=summary,
        classes=classes,
        items=items,
        source=f"{source}, unpacked below {name} in FEWSHOT_DATA, pictures in folders called {folders}",
        licence="research use",
        located=lambda: local_file(name),
    )


SHIFTS = {
    "imagenet-v2": _info(
        "imagenet-v2",
        "new photos of ImageNet's classes, gathered as the first were",
        1000,
        10_000,
        "github.com/modestyachts/ImageNetV2, one of its three sets (papers take matched-frequency)",
        "by class number, 0 to 999",
    ),
    "imagenet-sketch": _info(
        "imagenet-sketch", "sketches of ImageNet's classes", 1000, 50_889, "github.com/HaohanWang/ImageNet-Sketch"
    ),
    "imagenet-a": _info(
        "imagenet-a",
        "photos of 200 of ImageNet's classes that a ResNet-50 mistook",
        200,
        7_500,
        "github.com/hendrycks/natural-adv-examples",
    ),
    "imagenet-r": _info(
        "imagenet-r",
        "art, cartoons and other renditions of 200 of ImageNet's classes",
        200,
        30_000,
        "github.com/hendrycks/imagenet-r",
    ),
}


def _loader(name: str) -> Loader:
    def load(root: str | Path | None = None) -> Dataset:
        """The pictures of the classes that are there; root: their folder, in place of that below FEWSHOT_DATA."""
        return imagenet_shift(name, Path(root) if root else required_file(name, name))

    return load


def imagenet_shift(name: str, folder: Path) -> Dataset:
    """The pictures below `folder`, each in a folder called by its class: a WordNet id, or a number in their order.

    Names are those of `imagenet`; only classes that have a picture are the data set's. Raises `UnreadableFile` for
    folders that are called otherwise, or where there is no picture.
    """
    ids = tuple(sorted((each for each in files_below(folder) if is_picture(each)), key=natural_order))
    names = imagenet_names()
    number = {wnid: row for row, wnid in enumerate(names)} | {str(row): row for row in range(len(names))}
    folders = [each.split("/")[-2:-1] for each in ids]
    unknown = sorted({"/".join(each) or "none" for each in folders if not each or each[0] not in number})
    if unknown or not ids:
        raise UnreadableFile(
            f"{folder} must hold pictures in folders called by WordNet ids or class numbers of ImageNet, found "
            f"{', '.join(unknown[:5]) or 'no picture'}"
        )
    rows = torch.tensor([number[each[0]] for each in folders])
    present, labels = rows.unique(return_inverse=True)
    every = list(names.values())
    return Dataset(
        name=name,
        images=FileImages(folder, ids),
        labels=labels,
        class_names=tuple(every[row] for row in present.tolist()),
        ids=ids,
    )


for _name, _about in SHIFTS.items():
    register_dataset(_name, _about)(_loader(_name))
