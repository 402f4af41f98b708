"""What `check`, `rank` and `curve` share: the images that are looked at, and their features by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.datasets import Dataset
    from fewshot.embeddings import EmbeddingTable

LITE0 = "timm:tf_efficientnet_lite0"
_OPTIONS = (
    click.option("--split", default="all", show_default=True, help="The split of a data set."),
    click.option("--per-class", type=click.IntRange(1), help="Look at so many images a class; by default at all."),
    click.option("--classes", type=click.IntRange(2), help="Look at so many classes; by default at all."),
    click.option(
        "--image-size", "side", type=click.IntRange(32), help="Pixels; smaller than the backbone's own is faster."
    ),
    click.option("--seed", default=0, show_default=True, help="Of images and draws."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
    click.option("--skip-broken", is_flag=True, help="Leave out images that cannot be read."),
)


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of which images are looked at, and how large they are."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_images(
    data: str, split: str, per_class: int | None, classes: int | None, seed: int, skip_broken: bool
) -> Dataset:
    """The images that the options name; a data set with too few classes raises `InvalidInput`."""
    from fewshot.cli.arguments import load_images
    from fewshot.errors import InvalidInput
    from fewshot.transfer.per_class import some_of_each

    dataset = load_images(data, split, skip_broken=skip_broken)
    if len(dataset.class_names) < 2:
        raise InvalidInput(f"{dataset.name} has {len(dataset.class_names)} class; add a folder with another")
    if per_class is None and classes is None:
        return dataset
    return some_of_each(dataset, per_class or len(dataset), classes, seed)


def named_backbone(text: str, side: int | None, device: str, pretrained: bool = True) -> Backbone:
    """The backbone that `NAME`, `NAME#LAYERS` or `random:NAME` stands for, at `side` pixels where that is given.

    Nets of one's own size, such as raw pixels, keep it.
    """
    from fewshot.backbones import create_backbone
    from fewshot.cli.arguments import parse_layers
    from fewshot.transfer.image_size import at_size

    name, _, layers = text.removeprefix("random:").partition("#")
    pretrained = pretrained and name == text.partition("#")[0]
    backbone = create_backbone(name, device=device, layers=parse_layers(layers or None), pretrained=pretrained)
    own = name.startswith("fewshot:") or side is None
    return backbone if own or side is None else at_size(backbone, side)


def features_of(backbone: Backbone, dataset: Dataset) -> EmbeddingTable:
    """The table, from the cache where it is there."""
    from fewshot.embeddings import embed

    return embed(backbone, dataset)
