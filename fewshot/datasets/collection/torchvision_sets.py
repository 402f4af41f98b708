"""Further data sets by torchvision's own downloads, one line each, with Meta-Dataset's class splits where it has them.

The images' own parts (train, val, test share all classes) are the group "part".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.sources.files import FileImages
from fewshot.datasets.splits import split_list
from fewshot.datasets.torchvision_files import open_torchvision, torchvision_folder
from fewshot.errors import UnreadableFile

TRAIN_VAL_TEST = ("train", "val", "test")


@dataclass(frozen=True)
class TorchvisionSet:
    """A class of `torchvision.datasets`: `marker` is its folder, `parts` its values of `split=`, if it has any."""

    kind: str
    marker: str
    parts: Sequence[str]
    classes: int
    items: int
    summary: str
    licence: str
    meta_dataset_splits: bool = False


SETS = {
    "flowers-102": TorchvisionSet(
        "Flowers102", "flowers-102", TRAIN_VAL_TEST, 102, 8189, "flowers", "none stated; research use", True
    ),
    "oxford-pets": TorchvisionSet(
        "OxfordIIITPet", "oxford-iiit-pet", ("trainval", "test"), 37, 7349, "cats and dogs by breed", "CC BY-SA 4.0"
    ),
    "fgvc-aircraft": TorchvisionSet(
        "FGVCAircraft", "fgvc-aircraft-2013b", TRAIN_VAL_TEST, 100, 10000, "aircraft by variant", "research use", True
    ),
    "dtd": TorchvisionSet("DTD", "dtd", TRAIN_VAL_TEST, 47, 5640, "textures", "research use", True),
    "eurosat": TorchvisionSet("EuroSAT", "eurosat", (), 10, 27000, "satellite pictures of land use", "MIT"),
    "food-101": TorchvisionSet("Food101", "food-101", ("train", "test"), 101, 101000, "dishes", "research use"),
    "stanford-cars": TorchvisionSet(
        "StanfordCars",
        "stanford_cars",
        ("train", "test"),
        196,
        16185,
        "cars by model (torchvision cannot fetch it)",
        "research use",
    ),
    "sun397": TorchvisionSet("SUN397", "SUN397", (), 397, 108754, "scenes", "research use"),
}


def load_set(name: str, spec: TorchvisionSet, root: str | Path | None = None, download: bool = False) -> Dataset:
    """The pictures of all parts as one data set; ids are paths below the folder of the data set."""
    settings: list[dict[str, Any]] = [{"split": part} for part in spec.parts] or [{}]
    folder, opened = open_torchvision(name, spec.kind, spec.marker, root, download, settings)
    items = []
    for part, source in zip(spec.parts or ("all",), opened, strict=True):
        for file, label in zip(*files_and_labels(source), strict=True):
            items.append((Path(file).relative_to(folder / spec.marker).as_posix(), label, part))
    items.sort()  # torchvision lists some folders in the order of the disk
    class_names = _class_names(name, spec, opened)
    ids = tuple(file for file, _, _ in items)
    return Dataset(
        name=name,
        images=FileImages(folder / spec.marker, ids),
        labels=torch.tensor([label for _, label, _ in items], dtype=torch.int64),
        class_names=class_names,
        ids=ids,
        groups={"part": Grouping.of([part for _, _, part in items])} if spec.parts else {},
        splits={"meta-dataset": meta_dataset_splits(name, class_names)} if spec.meta_dataset_splits else {},
    )


def files_and_labels(source: Any) -> tuple[list[str | Path], list[int]]:
    """The files and labels that a data set of torchvision holds, under whichever names it keeps them."""
    for samples in ("samples", "_samples"):
        if hasattr(source, samples):
            pairs = getattr(source, samples)
            return [file for file, _ in pairs], [int(label) for _, label in pairs]
    files = source._image_files if hasattr(source, "_image_files") else source._images
    return list(files), [int(label) for label in source._labels]


def _class_names(name: str, spec: TorchvisionSet, opened: Sequence[Any]) -> tuple[str, ...]:
    # older versions of torchvision number the flowers
    lists = {tuple(getattr(source, "classes", map(str, range(1, spec.classes + 1)))) for source in opened}
    if len(lists) > 1:
        raise UnreadableFile(f"the parts {', '.join(spec.parts)} of {name} list different classes; fetch it anew")
    return lists.pop()


def meta_dataset_splits(name: str, class_names: Sequence[str]) -> dict[str, list[str]]:
    """The class splits of Triantafillou et al. (2020); flowers are listed by number, from 1."""
    lists = split_list(name)["meta-dataset"]
    return {
        split: [class_names[entry - 1] if isinstance(entry, int) else entry for entry in entries]
        for split, entries in lists.items()
    }


def _register(name: str, spec: TorchvisionSet) -> None:
    def load(root: str | Path | None = None, download: bool = False) -> Dataset:
        return load_set(name, spec, root, download)

    splits = (
        {split: len(names) for split, names in split_list(name)["meta-dataset"].items()}
        if spec.meta_dataset_splits
        else {}
    )
    info = DatasetInfo(
        summary=spec.summary,
        classes=spec.classes,
        items=spec.items,
        splits=splits,
        source=f"torchvision.datasets.{spec.kind}",
        licence=spec.licence,
        located=lambda: torchvision_folder(spec.marker),
    )
    register_dataset(name, info)(load)


for _name, _spec in SETS.items():
    _register(_name, _spec)
