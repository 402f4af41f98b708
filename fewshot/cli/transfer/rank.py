"""`fewshot transfer rank`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.cli.transfer.features import LITE0, ImageChoice, features_of, image_options
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.transfer.transferability import Ranking

AGREED = 1 / 2  # the mean correlation of two scores below which they are said to disagree


@click.command()
@click.argument("data")
@click.option("--backbone", "names", multiple=True,
              help="NAME, NAME#LAYERS or random:NAME; repeatable, two or more.")  # fmt: skip
@click.option("--source", "datasets", multiple=True,
              help="Rank labelled data sets by heads over one backbone instead; repeatable, two or more.")  # fmt: skip
@click.option("--score", "scores", multiple=True, help="A score by name; repeatable, by default all.")
@image_options
@json_option
def rank(
    data: str,
    names: tuple[str, ...],
    datasets: tuple[str, ...],
    scores: tuple[str, ...],
    choice: ImageChoice,
    as_json: bool,
) -> None:
    """Rank backbones for DATA without training, by scores of their features and the labels.

    DATA is a folder or zip with one subfolder a class, or a data set by name. LEEP and NCE need the classifier that a
    backbone was pretrained with and leave out those that have none. Without --backbone, EfficientNet-Lite0 is ranked by
    depth, against random weights and raw pixels. With --source, data sets to transfer from are ranked.

    \b
    Example:
      fewshot transfer rank my/photos
      fewshot transfer rank digits --backbone timm:resnet18 --backbone timm:tf_efficientnet_lite0#2 --per-class 20
      fewshot transfer rank my/photos --source caltech101 --source grocery-store --per-class 20
    """
    from fewshot.transfer.transferability import SCORES, Source, rank_sources

    default = (f"{LITE0}#1", f"{LITE0}#3", LITE0, f"random:{LITE0}", "fewshot:raw-pixels")
    names = tuple(dict.fromkeys(names)) or ((LITE0,) if datasets else default)
    ranked = tuple(dict.fromkeys(datasets)) or names
    if len(ranked) < 2 or (datasets and len(names) > 1):
        raise InvalidInput(
            "a ranking needs two backbones or more, or two sources or more over one backbone; repeat --backbone or "
            "--source"
        )
    source_choice = replace(choice, split="all", classes=None)
    with told_warnings():
        for score in scores:
            SCORES[score]  # a wrong name is told before anything is embedded
        dataset = choice.load(data)
        sources = []
        for name in names:
            backbone = choice.backbone(name)
            table = features_of(backbone, dataset)
            if not datasets:
                sources.append(Source.of(name, backbone, table))
            for other in datasets:
                images = source_choice.load(other)
                sources.append(Source.trained_on(features_of(backbone, images), table, other))
        ranking = rank_sources(sources, dataset.labels, scores or (("leep", "nce") if datasets else None))
    if as_json:
        print_json({"data": dataset.name, "images": len(dataset), "classes": len(dataset.class_names),
                    **ranking.to_json()})  # fmt: skip
        return
    _tell(ranking, "source" if datasets else "backbone")
    if not datasets:
        click.echo(f"next: fewshot transfer check {data} --backbone {ranking.order[0]}")


def _tell(ranking: Ranking, what: str) -> None:
    places = [ranking.sources.index(name) for name in ranking.order]
    print_rows(
        [{"": number, what: ranking.sources[place], "mean rank": f"{ranking.mean_ranks[place]:.1f}"}
         for number, place in enumerate(places, start=1)],
        title=f"best first, by {', '.join(ranking.counted)}",
    )  # fmt: skip
    rows = []
    for score, values in ranking.values.items():
        ranks = ranking.ranks(score)
        told = ["" if math.isnan(values[place]) else f"{values[place]:.3g} ({ranks[place]:g})" for place in places]
        rows.append({"score": score} | {str(number): cell for number, cell in enumerate(told, start=1)})
    print_rows(rows, title="scores (and ranks) of these")
    known = [value for value in ranking.agreement(ranking.counted).values() if not math.isnan(value)]
    if known:
        mean = sum(known) / len(known)
        verdict = "agree" if mean >= AGREED else "disagree, so measure the first few"
        click.echo(f"these {verdict}: Spearman's rho of two is {mean:.2f} in the mean, {min(known):.2f} at worst")
