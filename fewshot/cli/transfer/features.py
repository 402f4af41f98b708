"""What `check`, `rank` and `curve` share: the images that are looked at, and their features by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, load_images, parse_layers, skip_broken_option, with_options

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.datasets import Dataset
    from fewshot.embeddings import EmbeddingTable

LITE0 = "timm:tf_efficientnet_lite0"
side_option = click.option(
    "--image-size", "side", type=click.IntRange(32), help="Pixels; smaller than the backbone's own is faster."
)
_OPTIONS = with_options(
    click.option("--split", default="all", show_default=True, help="The split of a data set."),
    click.option("--per-class", type=click.IntRange(1), help="Look at so many images a class; by default at all."),
    click.option("--classes", type=click.IntRange(2), help="Look at so many classes; by default at all."),
    side_option,
    click.option("--seed", default=0, show_default=True, help="Of images and draws."),
    device_option,
    skip_broken_option,
)


@dataclass(frozen=True)
class ImageChoice:
    """Which images are looked at, and how large: what `image_options` read.

    split: of a data set; per_class, classes: the most images a class and classes, None for all; side: of the pictures
    in pixels, None for the backbone's own; seed: of images and draws.
    """

    split: str
    per_class: int | None
    classes: int | None
    side: int | None
    seed: int
    device: str
    skip_broken: bool

    def load(self, data: str) -> Dataset:
        """The images chosen of `data`; a data set with too few classes raises `InvalidInput`."""
        from fewshot.errors import InvalidInput
        from fewshot.transfer.per_class import some_of_each

        dataset = load_images(data, self.split, skip_broken=self.skip_broken)
        if len(dataset.class_names) < 2:
            raise InvalidInput(f"{dataset.name} has {len(dataset.class_names)} class; add a folder with another")
        if self.per_class is None and self.classes is None:
            return dataset
        return some_of_each(dataset, self.per_class or len(dataset), self.classes, self.seed)

    def backbone(self, text: str, pretrained: bool = True) -> Backbone:
        """`named_backbone` at the size and on the device chosen."""
        return named_backbone(text, self.side, self.device, pretrained)


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` the options of which images are looked at, and how large, as one `ImageChoice` named `choice`."""

    @wraps(command)
    def chosen(**arguments: Any) -> Any:
        choice = ImageChoice(**{each.name: arguments.pop(each.name) for each in fields(ImageChoice)})
        return command(choice=choice, **arguments)

    return _OPTIONS(chosen)


def named_backbone(text: str, side: int | None, device: str, pretrained: bool = True) -> Backbone:
    """The backbone that `NAME`, `NAME#LAYERS` or `random:NAME` stands for, at `side` pixels where that is given.

    Nets of one's own size, such as raw pixels, keep it.
    """
    from fewshot.backbones import create_backbone
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
