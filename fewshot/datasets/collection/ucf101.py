"""UCF101: the middle frame of each video, as few-shot adaptation of CLIP takes them (Soomro et al. 2012)."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.listing import files_below, is_picture, natural_order
from fewshot.datasets.local_files import local_file, required_file
from fewshot.datasets.sources.files import FileImages
from fewshot.errors import UnreadableFile

FOLDER = "ucf101/UCF-101-midframes"
_TEST_GROUPS = 7  # the first official split tests on the groups 1 to 7 of every class
_NAME = re.compile(r"v_\w+_g(\d\d)_c\d\d\.\w+")

INFO = DatasetInfo(
    summary="the middle frames of videos of human actions; group part (train, test)",
    classes=101,
    items=13_320,
    source=f"crcv.ucf.edu; the middle frames as {FOLDER}/Class_Name/v_ClassName_g01_c01.jpg in FEWSHOT_DATA",
    licence="none stated; research use",
    located=lambda: local_file(FOLDER),
)


@register_dataset("ucf101-midframes", INFO)
def ucf101_midframes(root: str | Path | None = None) -> Dataset:
    """The frames with the first official split as group "part"; root: the folder of class folders."""
    folder = Path(root) if root else required_file("ucf101-midframes", FOLDER)
    ids = tuple(sorted((name for name in files_below(folder) if is_picture(name)), key=natural_order))
    numbers = [_NAME.fullmatch(name.rpartition("/")[2]) for name in ids]
    if not ids or not all(numbers):
        strange = next((name for name, found in zip(ids, numbers, strict=True) if not found), "nothing")
        raise UnreadableFile(f"{folder} must hold frames named v_ClassName_g01_c01.jpg, found {strange}")
    classes = [name.split("/")[0] for name in ids]
    class_names = sorted(set(classes))
    parts = ["test" if found and int(found[1]) <= _TEST_GROUPS else "train" for found in numbers]
    return Dataset(
        name="ucf101-midframes",
        images=FileImages(folder, ids),
        labels=torch.tensor([class_names.index(name) for name in classes]),
        class_names=tuple(class_names),
        ids=ids,
        groups={"part": Grouping.of(parts)},
    )
