"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people (Lake et al. 2015)."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.datasets.listing import files_below
from fewshot.datasets.local_files import local_file
from fewshot.datasets.sources.arrays import PackedImages
from fewshot.datasets.sources.files import FileImages
from fewshot.datasets.splits import split_list
from fewshot.datasets.torchvision_files import open_torchvision, torchvision_folder
from fewshot.errors import UnreadableFile

LOCAL = "omniglot/omniglot_full.npz"
MARKER = "omniglot-py"

INFO = DatasetInfo(
    summary="handwritten characters, 20 drawings each; groups alphabet and drawer",
    classes=1623,
    items=32460,
    splits={"train": 1028, "val": 172, "test": 423, "background": 964, "evaluation": 659},
    source="brendenlake/omniglot; split train/val/test of Vinyals et al. (2016)",
    licence="MIT",
    located=lambda: local_file(LOCAL) or torchvision_folder(MARKER),
)


@register_dataset("omniglot", INFO)
def omniglot(root: str | Path | None = None, download: bool = False) -> Dataset:
    """Black ink on white, 105 x 105. Splits: train, val, test (Vinyals) or background, evaluation (official)."""
    packed = local_file(LOCAL) if root is None else None
    images, names = _from_npz(packed) if packed else _from_torchvision(root, download)
    classes = [name.rpartition("/")[0] for name in names]
    class_names = sorted(set(classes))
    number = {name: index for index, name in enumerate(class_names)}
    lists = split_list("omniglot")
    return Dataset(
        name="omniglot",
        images=images,
        labels=torch.tensor([number[name] for name in classes]),
        class_names=tuple(class_names),
        ids=tuple(names),
        groups={
            "alphabet": Grouping.of([name.partition("/")[0] for name in names]),
            "drawer": Grouping.of([name[-6:-4] for name in names]),
        },
        splits={scheme: expand_alphabets(parts, class_names) for scheme, parts in lists.items()},
    )


def expand_alphabets(parts: dict[str, list[str]], class_names: Iterable[str]) -> dict[str, list[str]]:
    """Class lists from entries that are alphabets, or single characters that leave their alphabet for another split."""
    home = {entry: split for split, entries in parts.items() for entry in entries}
    lists: dict[str, list[str]] = {split: [] for split in parts}
    for name in class_names:
        split = home.get(name) or home.get(name.partition("/")[0])
        if split:
            lists[split].append(name)
    return lists


def _from_npz(path: Path) -> tuple[Images, list[str]]:
    try:
        with np.load(path) as stored:
            content = {key: stored[key] for key in stored.files}
        alphabets = content["alphabet_names"][content["alphabet"]].tolist()
        columns = (alphabets, *(content[key].tolist() for key in ("character", "class_id", "drawer")))
        names = [f"{a}/character{c:02d}/{i:04d}_{d:02d}.png" for a, c, i, d in zip(*columns, strict=True)]
        height, width = content["shape"].tolist()
        order = sorted(range(len(names)), key=names.__getitem__)
        return PackedImages(content["images"][order], (height, width)), [names[place] for place in order]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path} does not hold Omniglot as expected ({error!r}); copy it anew") from None


def _from_torchvision(root: str | Path | None, download: bool) -> tuple[Images, list[str]]:
    both = [{"background": True}, {"background": False}]
    folder, _ = open_torchvision("omniglot", "Omniglot", MARKER, root, download, both)
    files = [name for name in files_below(folder / MARKER) if name.startswith("images_") and name.endswith(".png")]
    files.sort(key=lambda name: name.partition("/")[2])
    return FileImages(folder / MARKER, files), [name.partition("/")[2] for name in files]
