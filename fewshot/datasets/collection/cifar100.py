"""CIFAR-100 with the class splits CIFAR-FS (Bertinetto et al. 2019) and FC100 (Oreshkin et al. 2018)."""

from pathlib import Path

import numpy as np
import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset, Splits
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.datasets.listing import files_in_zip
from fewshot.datasets.local_files import local_file
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.datasets.sources.files import ZipImages
from fewshot.datasets.splits import split_list
from fewshot.datasets.torchvision_files import open_torchvision, torchvision_folder

LOCAL = "cifar_fs/cifar_fs_small.zip"
MARKER = "cifar-100-python"


# one picture is in the published data twice, under two names
KNOWN_DUPLICATES = (("val/shark/shark_s_002211.png", "test/whale/whale_s_001463.png"),)


def _info(summary: str, splits: dict[str, int]) -> DatasetInfo:
    return DatasetInfo(
        summary=summary,
        classes=100,
        items=60000,
        splits=splits,
        source=f"CIFAR-100 (Krizhevsky 2009); {LOCAL} in FEWSHOT_DATA holds 16,000 of the images",
        licence="none stated by the authors; research use",
        located=lambda: local_file(LOCAL) or torchvision_folder(MARKER),
        known_duplicates=KNOWN_DUPLICATES,
    )


@register_dataset("cifar-fs", _info("CIFAR-100 split by class; group coarse", {"train": 64, "val": 16, "test": 20}))
def cifar_fs(root: str | Path | None = None, download: bool = False) -> Dataset:
    """Colour photos, 32 x 32, of 100 classes; splits train, val, test."""
    return _cifar100("cifar-fs", {"cifar-fs": split_list("cifar-100")["cifar-fs"]}, root, download)


@register_dataset("fc100", _info("CIFAR-100 split by superclass; group coarse", {"train": 60, "val": 20, "test": 20}))
def fc100(root: str | Path | None = None, download: bool = False) -> Dataset:
    """Colour photos, 32 x 32, of 100 classes; splits train, val, test share no superclass."""
    lists = split_list("cifar-100")
    splits = {
        split: [name for superclass in superclasses for name in lists["superclasses"][superclass]]
        for split, superclasses in lists["fc100"].items()
    }
    return _cifar100("fc100", {"fc100": splits}, root, download)


def _cifar100(name: str, splits: Splits, root: str | Path | None, download: bool) -> Dataset:
    archive = local_file(LOCAL) if root is None else None
    images, ids, classes = _from_zip(archive) if archive else _from_torchvision(name, root, download)
    class_names = sorted(set(classes))
    number = {class_name: index for index, class_name in enumerate(class_names)}
    coarse = {fine: above for above, fines in split_list("cifar-100")["superclasses"].items() for fine in fines}
    return Dataset(
        name=name,
        images=images,
        labels=torch.tensor([number[class_name] for class_name in classes]),
        class_names=tuple(class_names),
        ids=tuple(ids),
        groups={"coarse": Grouping.of([coarse[class_name] for class_name in classes])},
        splits=splits,
    )


def _from_zip(path: Path) -> tuple[Images, list[str], list[str]]:
    names = files_in_zip(path)  # split/class/file.png
    return ZipImages(path, names), names, [name.split("/")[1] for name in names]


def _from_torchvision(name: str, root: str | Path | None, download: bool) -> tuple[Images, list[str], list[str]]:
    _, parts = open_torchvision(name, "CIFAR100", MARKER, root, download, [{"train": True}, {"train": False}])
    classes = [part.classes[label] for part in parts for label in part.targets]
    ids = [
        f"{where}/{index:05d}"
        for where, part in zip(("train", "test"), parts, strict=True)
        for index in range(len(part))
    ]
    return ArrayImages(np.concatenate([part.data for part in parts])), ids, classes
