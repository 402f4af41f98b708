"""Labelled images by name or from a folder, with class-disjoint splits.

`load_dataset("glyphs")`, `ImageFolder("my/photos")`; one's own are added with `register_dataset`.
"""

from fewshot.datasets import collection as _collection  # registers the data sets
from fewshot.datasets.broken import find_broken, without_broken
from fewshot.datasets.catalogue import DatasetInfo, describe_dataset, list_datasets, load_dataset, register_dataset
from fewshot.datasets.checks import DatasetCheck, check_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.folder import ImageFolder
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.datasets.selection import select_items
from fewshot.datasets.splits import check_splits, select_split

__all__ = [
    "Dataset",
    "DatasetCheck",
    "DatasetInfo",
    "Grouping",
    "ImageFolder",
    "Images",
    "check_dataset",
    "check_splits",
    "describe_dataset",
    "find_broken",
    "list_datasets",
    "load_dataset",
    "register_dataset",
    "select_items",
    "select_split",
    "without_broken",
]

del _collection
