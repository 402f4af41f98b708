"""Grocery Store: photos taken in shops, and one clean product picture and description of each class."""

from pathlib import Path

import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.listing import files_in_zip
from fewshot.datasets.local_files import local_file, required_file
from fewshot.datasets.sources.files import ZipImages
from fewshot.errors import UnreadableFile
from fewshot.files import read_json

LOCAL = "grocery_store/grocery_store_84.zip"
CLASSES = "grocery_store/classes.json"

INFO = DatasetInfo(
    summary="groceries in shops and a clean product picture of each; groups domain, coarse, part; descriptions",
    classes=81,
    items=5502,
    source=f"marcusklasson/GroceryStoreDataset (Klasson et al. 2019), {LOCAL} in FEWSHOT_DATA",
    licence="MIT",
    located=lambda: local_file(LOCAL),
)


@register_dataset("grocery-store", INFO)
def grocery_store() -> Dataset:
    """Photos and product pictures, 84 x 84, of 81 classes.

    Groups: "domain" (photo, iconic), "coarse" (43), and "part" (the authors' train, val, test; iconic). The
    product descriptions are `class_descriptions`.
    """
    archive, table = required_file("grocery-store", LOCAL), required_file("grocery-store", CLASSES)
    facts = {entry["name"]: entry for entry in read_json(table)}
    names = files_in_zip(archive)  # part/class/file.jpg, iconic/class.jpg
    classes = [Path(name).stem if name.startswith("iconic/") else name.split("/")[1] for name in names]
    unknown = sorted(set(classes) - facts.keys())
    if unknown:
        raise UnreadableFile(f"{table} does not describe the classes {', '.join(unknown)} that are in {archive}")
    class_names = tuple(facts)
    number = {name: index for index, name in enumerate(class_names)}
    parts = [name.partition("/")[0] for name in names]
    return Dataset(
        name="grocery-store",
        images=ZipImages(archive, names),
        labels=torch.tensor([number[name] for name in classes]),
        class_names=class_names,
        ids=tuple(names),
        groups={
            "domain": Grouping.of(["iconic" if part == "iconic" else "photo" for part in parts]),
            "coarse": Grouping.of([facts[name]["coarse_name"] for name in classes]),
            "part": Grouping.of(parts),
        },
        class_descriptions={name: entry["description"] for name, entry in facts.items()},
    )
