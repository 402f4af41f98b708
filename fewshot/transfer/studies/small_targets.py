"""Small target tasks on real data, and their features by depth in two passes through a network."""

from __future__ import annotations

from dataclasses import replace

import torch

import fewshot
from fewshot.datasets import Dataset
from fewshot.embeddings import EmbeddingTable, embed
from fewshot.transfer.image_size import at_size
from fewshot.transfer.per_class import some_of_each

LITE0 = "timm:tf_efficientnet_lite0"
PIXELS = "fewshot:raw-pixels"
TARGETS = ("cifar-fs", "caltech101", "grocery", "omniglot", "usps")
_WHERE = {
    "cifar-fs": ("cifar-fs", "test", None),
    "cifar-fs train": ("cifar-fs", "train", None),
    "caltech101": ("caltech101", "all", None),
    "grocery": ("grocery-store", "all", {"domain": "photo"}),
    "omniglot": ("omniglot", "test", None),
    "usps": ("mnist-usps", "all", {"domain": "usps"}),
}


def small_target(name: str, classes: int, images: int, least: int | None = None) -> Dataset:
    """At most `images` of each of `classes` classes of one of `TARGETS`, all with `least` images or more."""
    known, split, where = _WHERE[name]
    dataset = fewshot.load_dataset(known, split=split).select(where=where)
    large = (dataset.class_counts >= (least or 1)).nonzero().flatten().tolist()
    return some_of_each(dataset.select(classes=large), images, classes)


def depth_tables(dataset: Dataset, side: int = 64, pretrained: bool = True) -> dict[str, EmbeddingTable]:
    """The features of EfficientNet-Lite0 after each of its five stages, and the last ones: "stage 1" to "last".

    The stages come from one pass and carry its fingerprint.
    """
    made = [
        fewshot.create_backbone(LITE0, device="cpu", pretrained=pretrained, layers=layers, blend=side_by_side)
        for layers in ([0, 1, 2, 3, 4], None)
    ]
    stages, last = (embed(at_size(backbone, side), dataset, progress=False) for backbone in made)
    widths = [stage["num_chs"] for stage in made[0].module.module.feature_info]
    parts = stages.features.split(widths, dim=1)
    tables = {f"stage {place}": replace(stages, features=part) for place, part in enumerate(parts, start=1)}
    return tables | {"last": last}


def pixel_table(dataset: Dataset) -> EmbeddingTable:
    """The pixels at 32 x 32."""
    return embed(fewshot.create_backbone(PIXELS, device="cpu"), dataset, progress=False)


def side_by_side(features: list[torch.Tensor]) -> torch.Tensor:
    """Each as it is, (B, sum of C_i)."""
    return torch.cat([feature.float() for feature in features], dim=1)


def small_digits(domain: str, images: int) -> Dataset:
    """At most `images` of each digit of "mnist" or "usps"."""
    return some_of_each(fewshot.load_dataset("mnist-usps").select(where={"domain": domain}), images)


def small_groceries(part: str, classes: int = 10, images: int = 30) -> Dataset:
    """Shop photos of the "train" or "test" part, of classes that have `images` in both."""
    photos = fewshot.load_dataset("grocery-store").select(where={"domain": "photo"})
    parts = {name: photos.select(where={"part": name}) for name in ("train", "test")}
    fewest = torch.stack([each.class_counts for each in parts.values()]).amin(0)
    large = (fewest >= images).nonzero().flatten()[:classes].tolist()
    return some_of_each(parts[part].select(classes=large), images)
