"""`fewshot transfer layers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, load_images, parse_layers
from fewshot.cli.output import json_option, print_json, print_rows, told_warnings

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.transfer.layers import LayerComparison


@click.command()
@click.argument("data")
@click.option("--backbone", default="timm:tf_efficientnet_lite0", show_default=True, help="The network to look into.")
@click.option("--split", default="all", show_default=True, help="Split of the data set.")
@click.option("--layers", "names", help="Some layers, by name or index: blocks.2,-1,output. By default all.")
@click.option("--shots", type=click.IntRange(1), help="Learn from so many images a class; by default from folds.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds, where no shots are given.")
@click.option("--draws", type=click.IntRange(2), default=10, show_default=True, help="Splits that are averaged.")
@click.option("--largest", type=click.IntRange(1), default=3, show_default=True, help="Layers that a blend may have.")
@click.option("--items", type=click.IntRange(2), default=2000, show_default=True, help="Most images to look at.")
@click.option("--random", "untrained", is_flag=True, help="Random weights in place of pretrained ones.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw accuracy over depth into this PNG.")
@device_option
@click.option("--seed", default=0, show_default=True, help="Of the splits.")
@json_option
def layers(
    data: str,
    backbone: str,
    split: str,
    names: str | None,
    shots: int | None,
    folds: int,
    draws: int,
    largest: int,
    items: int,
    untrained: bool,
    plot: Path | None,
    device: str,
    seed: int,
    as_json: bool,
) -> None:
    """Compare the depths of a network on DATA, a data set or a folder with one folder a class.

    A linear probe tells what each layer knows; layers and blends are chosen on images held out of those they learn
    from, and scored on others.

    \b
    Example:
      fewshot transfer layers photos --plot layers.png
      fewshot transfer layers cifar-fs --split test --shots 5 --json
    """
    from fewshot.transfer.layers import compare_layers, draw_layers, fold_splits, layer_extractor, shot_splits

    with told_warnings():
        dataset = _at_most(load_images(data, split), items, seed)
        chosen = parse_layers(names)
        if isinstance(chosen, str):
            chosen = [chosen]
        extractor = layer_extractor(backbone, chosen, device, pretrained=not untrained)
        labels = dataset.labels
        if shots:
            splits = shot_splits(labels, shots, draws, seed, dataset.class_names)
        else:
            splits = fold_splits(labels, folds, -(-draws // folds), seed, dataset.class_names)[:draws]
        features, table = extractor.embed(dataset, progress=not as_json)
        found = compare_layers(features, table.labels, splits, largest)
    if plot:
        draw_layers(found, plot, f"{backbone} on {dataset.name}")
    if as_json:
        print_json({"backbone": extractor.backbone.describe(), "dataset": dataset.name, "items": len(dataset),
                    "splits": len(splits), **found.to_json()})  # fmt: skip
        return
    print_rows(_rows(found, dict(zip(extractor.names, extractor.widths, strict=True))),
               f"{backbone} on {len(dataset)} images of {dataset.name}, {len(splits)} splits")  # fmt: skip
    click.echo(_answer(found))
    if plot:
        click.echo(f"drawn in {plot}")


def _at_most(dataset: Dataset, items: int, seed: int) -> Dataset:
    """Equally many random images a class of a data set that is too large for a probe in closed form, told."""
    from fewshot.transfer.layers import places_in_class

    if len(dataset) <= items:
        return dataset
    share = max(2, items // len(dataset.class_names))
    part = dataset.select(indices=places_in_class(dataset.labels, seed) < share)
    click.echo(f"fewshot: note: {len(part)} of {len(dataset)} images are looked at; --items for more", err=True)
    return part


def _rows(found: LayerComparison, widths: dict[str, int]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in found.accuracies:
        rows.append({"layer": name, "features": str(widths[name]), "accuracy %": _told(found, name)})
    rows.append({"layer": "best one, held out", "features": "", "accuracy %": _told(found, "single")})
    rows.append({"layer": "best blend, held out", "features": "", "accuracy %": _told(found, "blend")})
    return rows


def _told(found: LayerComparison, name: str) -> str:
    interval = found.interval(name)
    return f"{100 * interval.mean:.2f} ± {100 * interval.half_width:.2f}"


def _answer(found: LayerComparison) -> str:
    gain = found.gain()
    difference, half = 100 * gain.difference.mean, 100 * gain.difference.half_width
    verdict = "differs from" if gain.significant else "cannot be told from"
    return (
        f"advice: {' + '.join(found.advice)}; the blend {verdict} {found.deepest} alone: "
        f"{difference:+.2f} ± {half:.2f} points"
    )
