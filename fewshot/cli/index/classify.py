"""`fewshot index classify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option
from fewshot.cli.output import json_option, print_json, print_rows, told_warnings

if TYPE_CHECKING:
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.recognition import Recognised, Rule, Threshold


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--rule",
    "named",
    type=click.Choice(["knn", "mean"]),
    default="knn",
    show_default=True,
    help="A vote of the nearest items, or the nearest class mean.",
)
@click.option("-k", default=1, show_default=True, type=click.IntRange(1), help="How many items vote.")
@click.option(
    "--weights",
    type=click.Choice(["softmax", "uniform"]),
    default="softmax",
    show_default=True,
    help="Votes weigh exp(closeness / 0.07), or all the same.",
)
@click.option(
    "--false-accepts",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help='Say "none" to pictures of unknown classes, but for this share of them; calibrated.',
)
@click.option(
    "--strangers",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Calibrate on this folder of class folders that the index does not have; by default on its own classes.",
)
@click.option(
    "--evidence",
    type=click.Choice(["margin", "score"]),
    default="margin",
    show_default=True,
    help="What must be enough: how far the class is ahead of the runner-up, or its score alone.",
)
@click.option("--reject-at", type=float, help='Say "none" unless the evidence is more than this.')
@device_option
@json_option
def classify(
    index: Path,
    images: tuple[str, ...],
    named: Any,
    k: int,
    weights: Any,
    false_accepts: float | None,
    strangers: Path | None,
    evidence: Any,
    reject_at: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Classify IMAGES (pictures, folders of them, or patterns) by the labelled items of INDEX they are nearest to.

    One picture of a class is enough, and no training: a class is known as soon as it was added, and gone when it was
    deleted. Only the classes go to standard output.

    \b
    Example:
      fewshot index classify faces.index door.jpg
      fewshot index classify products.index shelf --false-accepts 0.01
      fewshot index classify products.index shelf --rule mean --false-accepts 0.05 --strangers other-products --json
    """
    from fewshot.classify.sources import find_pictures
    from fewshot.errors import InvalidInput
    from fewshot.retrieval.build.encoder import make_backbone
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.recognition import Rule

    if reject_at is not None and false_accepts is not None:
        raise InvalidInput("give --reject-at or --false-accepts, not both")
    if strangers is not None and false_accepts is None:
        raise InvalidInput("--strangers are for calibration: give --false-accepts, the rate to keep")
    with told_warnings():
        opened = Index.open(index)
        if device != "auto":
            opened = Index.open(index, make_backbone(str(opened.manifest.backbone["name"]), device))
        rule = Rule(named, k, weights, evidence=evidence)
        limit = reject_at if false_accepts is None else _calibrated(opened, rule, false_accepts, strangers)
        told = opened.classify(find_pictures(list(images)), rule=rule, reject_at=limit)
    found = told if isinstance(told, list) else [told]
    if as_json:
        print_json([{**each.to_json(), "class": each.name} for each in found])
    else:
        print_rows([_row(each) for each in found])


def _calibrated(index: Index, rule: Rule, false_accepts: float, strangers: Path | None) -> Threshold:
    """The threshold, told on standard error."""
    from fewshot.retrieval.recognition import calibrate

    if strangers is None:
        threshold = calibrate(index, false_accepts, rule)
        made = f"of the {threshold.classes} classes of the index, each left out"
    else:
        from fewshot.classify.sources import read_folder

        folder = read_folder(strangers)
        names = [folder.class_names[label] for label in folder.labels.tolist()]
        threshold = calibrate(index, false_accepts, rule, [strangers / each for each in folder.ids], names)
        made = f"of {threshold.classes} classes of strangers"
    click.echo(
        f"fewshot: rule: {rule}; {rule.evidence} over {threshold.at:.4f} for {false_accepts:g} false accepts, made of "
        f"{threshold.items} pictures {made}",
        err=True,
    )
    return threshold


def _row(found: Recognised) -> dict[str, Any]:
    return {
        "image": found.query,
        "class": "none" if found.name is None else found.name,
        "score": round(found.score, 4),
        "nearest": found.key or "",
        "runner-up": "" if found.runner_up is None else f"{found.runner_up} {found.runner_up_score:.4f}",
    }
