"""`fewshot zeroshot`: how well class names alone classify images."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, load_images
from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.errors import InvalidInput
from fewshot.files import read_json

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.zeroshot import ZeroShotResult


@click.command()
@click.argument("images")
@click.option("--backbone", "backbone_name", default="bridge:lite0-minilm", show_default=True, help="One with words.")
@click.option("--split", default="all", show_default=True, help="The split of a data set.")
@click.option("--classes", default="names", show_default=True, help="What classes are called: names, or a FILE.")
@click.option(
    "--templates",
    "template_names",
    multiple=True,
    default=("simple",),
    show_default=True,
    help="simple, name, imagenet, imagenet-simple, openai:DATASET, none, or a text with {}; several compare.",
)
@click.option("--descriptions", help="A FILE.json of texts by class, or 'own' for those of the data set.")
@click.option("--background", multiple=True, help="A name for what is none of the classes.")
@click.option("--confused", type=click.IntRange(0), default=5, show_default=True, help="Confused pairs to print.")
@device_option
@click.option("--precision", default="auto", show_default=True, help="float32, bfloat16, float16 or auto.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file to write the results to.")
@json_option
def zeroshot(
    images: str,
    backbone_name: str,
    split: str,
    classes: str,
    template_names: tuple[str, ...],
    descriptions: str | None,
    background: tuple[str, ...],
    confused: int,
    device: str,
    precision: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Classify IMAGES (a folder or zip with one subfolder a class, or a data set by name) by the names of the classes.

    A FILE for --classes is JSON, {class: name or list of names}, or text with one name a line in the order of the
    classes. The table has top-1, top-5 and mean class recall in %, with 95 % t-intervals over items, items and
    classes, and the expected calibration error before and after fitting a temperature.

    \b
    Example:
      fewshot zeroshot caltech101 --templates simple --templates name
      fewshot zeroshot my/photos --backbone open_clip:ViT-B-32/openai --templates imagenet
      fewshot zeroshot grocery-store --templates none --descriptions own
    """
    from fewshot.backbones import create_backbone
    from fewshot.embeddings import embed
    from fewshot.files import write_json
    from fewshot.zeroshot import evaluate_zero_shot

    with told_warnings():
        dataset = load_images(images, split)
        called = _called(classes, dataset.class_names)
        described = _descriptions(descriptions, dataset)
        _check_prompts(dataset, called, template_names, described, background)
        backbone = create_backbone(backbone_name, device=device, precision=precision)
        table = embed(backbone, dataset)
        results = [
            evaluate_zero_shot(
                backbone,
                table,
                None if name == "none" else name,
                class_names=called,
                descriptions=described,
                background=background or None,
            )
            for name in template_names
        ]
    if out:
        write_json(out, [result.to_json() for result in results])
    if as_json:
        print_json([result.to_json() for result in results])
        return
    print_rows([_row(result) for result in results], title=f"{dataset.name} ({dataset.split}) · {backbone.name}")
    for true, found, count in results[0].confused(confused):
        click.echo(f"{count} of {true} taken for {found}")


def _check_prompts(
    dataset: Dataset,
    called: dict[str, Any] | None,
    template_names: tuple[str, ...],
    described: dict[str, Any] | None,
    background: tuple[str, ...],
) -> None:
    """Raise what is wrong with names, templates or descriptions before any image is embedded."""
    from fewshot.zeroshot import template_set
    from fewshot.zeroshot.prompts import class_prompts

    calls = {name: (called or {}).get(name, name) for name in dataset.class_names}
    with warnings.catch_warnings(action="ignore"):  # told when the prompts are made
        for name in template_names:
            chosen = template_set(None if name == "none" else name)
            class_prompts(calls, chosen, described, background=background or None)


def _called(classes: str, names: tuple[str, ...]) -> dict[str, Any] | None:
    if classes == "names":
        return None
    path = Path(classes)
    if path.suffix == ".json":
        return _mapping(path)
    if not os.path.isfile(path):
        raise InvalidInput(f"--classes takes 'names' or a file, and {classes} is no file")
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    if len(lines) != len(names):
        raise InvalidInput(f"{classes} must have one line for each of the {len(names)} classes, found {len(lines)}")
    return dict(zip(names, lines, strict=True))


def _descriptions(given: str | None, dataset: Dataset) -> dict[str, Any] | None:
    if given != "own":
        return None if given is None else _mapping(Path(given))
    if not dataset.class_descriptions:
        raise InvalidInput(f"{dataset.name} has no descriptions of its own; pass a FILE.json of texts by class")
    return dataset.class_descriptions


def _mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} must be JSON of the form {{class: text or list of texts}}")
    return content


def _row(result: ZeroShotResult) -> dict[str, Any]:
    def percent(interval: Any) -> str:
        return "" if interval is None else f"{100 * interval.mean:.1f} ± {100 * interval.half_width:.1f}"

    calibration = result.calibration
    return {
        "templates": result.settings["templates"]["name"],
        "prompts": result.settings["prompts"]["count"],
        "top-1": percent(result.top1),
        "top-5": percent(result.top5),
        "class recall": percent(result.class_recall),
        "ECE": "" if calibration is None else f"{100 * calibration.ece_before:.1f}",
        "ECE fitted": "" if calibration is None else f"{100 * calibration.ece_after:.1f}",
        "temperature": "" if calibration is None else f"{calibration.temperature:.3g}",
    }
