"""Images without labels: any data set with its labels unseen, or all pictures below a folder."""

from __future__ import annotations

from pathlib import Path

import torch

from fewshot.datasets import Dataset, list_datasets, load_dataset
from fewshot.datasets.broken import refuse_suspects, without_broken
from fewshot.datasets.images import Images
from fewshot.datasets.listing import files_below, files_in_zip, is_picture
from fewshot.datasets.sources.files import FileImages, ZipImages
from fewshot.errors import MissingData


def load_unlabelled(name: str, split: str = "all", skip_broken: bool = False) -> Dataset:
    """A registered data set, or every picture in a folder or zip, however deep, as one class called "unlabelled".

    Raises `MissingData` for a folder without pictures, and what `load_dataset` raises.
    """
    path = Path(name)
    if name in list_datasets() or not path.exists():
        return load_dataset(name, split, skip_broken=skip_broken)
    names = [file for file in (files_below(path) if path.is_dir() else files_in_zip(path)) if is_picture(file)]
    if not names:
        raise MissingData(f"there are no pictures in {path}; give a folder or zip of pictures, or a data set by name")
    images: Images = FileImages(path, names) if path.is_dir() else ZipImages(path, names)
    labels = torch.zeros(len(names), dtype=torch.int64)
    dataset = Dataset(path.stem, images, labels, ("unlabelled",), tuple(names))
    if skip_broken:
        return without_broken(dataset)
    refuse_suspects(dataset)
    return dataset
