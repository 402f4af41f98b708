"""ImageNet (ILSVRC 2012), from a folder with the pictures as class folders."""

from __future__ import annotations

from pathlib import Path

import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.listing import files_below, is_picture, natural_order
from fewshot.datasets.local_files import local_file, required_file
from fewshot.datasets.sources.files import FileImages
from fewshot.errors import MissingData, UnreadableFile

FOLDER = "imagenet"
PARTS = ("train", "val")

INFO = DatasetInfo(
    summary="photos of a thousand kinds of things; group part (train, val)",
    classes=1000,
    items=1_331_167,
    source="image-net.org (ILSVRC 2012), as imagenet/train/WNID/*.JPEG and imagenet/val/WNID/*.JPEG in FEWSHOT_DATA",
    licence="research use",
    located=lambda: local_file(FOLDER),
)


@register_dataset("imagenet", INFO)
def imagenet(root: str | Path | None = None) -> Dataset:
    """The pictures of both parts, or of the one that is there, with classes in the order of their WordNet ids.

    They have the names that CLIP's authors gave them; two of these name two classes each, which have WordNet's first
    lemma instead. root: the folder with `train` and `val`, in place of `imagenet` below FEWSHOT_DATA.
    """
    folder = Path(root) if root else required_file("imagenet", FOLDER)
    ids = sorted(
        (name for name in files_below(folder) if name.startswith(PARTS) and is_picture(name)), key=natural_order
    )
    names = imagenet_names()
    number = {wnid: row for row, wnid in enumerate(names)}
    parts = [name.split("/") for name in ids]
    unknown = sorted({part[1] for part in parts if len(part) != 3 or part[1] not in number})
    if unknown:
        raise UnreadableFile(f"{folder} holds folders that are no WordNet ids of ImageNet: {', '.join(unknown[:5])}")
    if not ids:
        raise MissingData(f"{folder} holds no pictures as train/WNID/*.JPEG or val/WNID/*.JPEG")
    return Dataset(
        name="imagenet",
        images=FileImages(folder, ids),
        labels=torch.tensor([number[part[1]] for part in parts]),
        class_names=tuple(names.values()),
        ids=tuple(ids),
        groups={"part": Grouping.of([part[0] for part in parts])},
    )


def imagenet_names() -> dict[str, str]:
    """The names of the thousand classes by their WordNet ids, in the order of these; see `imagenet`."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    named = zip(info.label_names(), IMAGENET_CLASSNAMES, strict=True)
    return {
        wnid: info.index_to_description(row).split(",")[0] if IMAGENET_CLASSNAMES.count(name) > 1 else name
        for row, (wnid, name) in enumerate(named)
    }
