"""`fewshot transfer check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.cli.transfer.features import LITE0, ImageChoice, features_of, image_options
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.transfer.negative import TransferCheck

PIXELS = "fewshot:raw-pixels"


@click.command()
@click.argument("data")
@click.option("--backbone", default=LITE0, show_default=True, help="The pretrained network: NAME or NAME#LAYERS.")
@click.option("--learner", default="logistic", show_default=True, help="The head: name or name:setting=value,...")
@click.option("--shots", default=5, show_default=True, type=click.IntRange(1), help="Labels a class.")
@click.option("--queries", default=15, show_default=True, type=click.IntRange(1), help="Images a class to answer.")
@click.option("--draws", default=20, show_default=True, type=click.IntRange(2), help="Times that labels are drawn.")
@click.option("--scratch/--no-scratch", default=True, show_default=True, help="Train a small net from scratch too.")
@image_options
@json_option
def check(
    data: str,
    backbone: str,
    learner: str,
    shots: int,
    queries: int,
    draws: int,
    scratch: bool,
    choice: ImageChoice,
    as_json: bool,
) -> None:
    """Tell whether a pretrained network helps with DATA, at so many labels a class.

    Its features are compared with those of the same net with random weights, with raw pixels, and with a small net
    trained from scratch, on the same draws of labels. The verdict is helps, hurts, or can't be told.

    \b
    Example:
      fewshot transfer check my/photos --shots 5
      fewshot transfer check digits --backbone timm:tf_efficientnet_lite0#2 --image-size 64 --per-class 40
    """
    from fewshot.episodes import EpisodeSampler
    from fewshot.learners import parse_learner
    from fewshot.transfer.negative import transfer_check

    with told_warnings():
        head = parse_learner(learner)
        dataset = choice.load(data)
        sampler = EpisodeSampler(
            dataset.labels, ways="all", shots=shots, queries=queries, seed=choice.seed, class_names=dataset.class_names
        )
        episodes = sampler.sample(draws)
        wanted = {
            "pretrained": choice.backbone(backbone),
            "random weights": choice.backbone(backbone, pretrained=False),
            "raw pixels": choice.backbone(PIXELS),
        }
        if wanted["pretrained"].weights in ("random", "none"):
            raise InvalidInput(f"{backbone} has no pretrained weights to check; name a network that has")
        tables = {name: features_of(each, dataset) for name, each in wanted.items()}
        images = tables["raw pixels"].features.view(-1, 3, 32, 32) if scratch else None
        found = transfer_check(tables, episodes, head, images)
    if as_json:
        about = {"data": dataset.name, "images": len(dataset), "classes": episodes.ways, "backbone": backbone}
        print_json({**about, "learner": head.name, "shots": shots, "draws": draws, **found.to_json()})
        return
    _tell(found, shots, draws)


def _tell(found: TransferCheck, shots: int, draws: int) -> None:
    rows = []
    for name, each in found.intervals.items():
        row = {"learned from": name, "accuracy %": f"{100 * each.mean:.1f} ± {100 * each.half_width:.1f}"}
        gain = found.gains.get(name)
        difference = f"{100 * gain.difference.mean:+.1f} ± {100 * gain.difference.half_width:.1f}" if gain else ""
        rows.append({**row, f"{found.source} gains %": difference, "p": f"{gain.p_value:.2g}" if gain else ""})
    print_rows(rows, title=f"{shots} labels a class, {draws} draws of the same images for all")
    click.echo(f"verdict: the source {found.verdict}" if found.verdict != "can't be told" else
               "verdict: whether the source helps can't be told")  # fmt: skip
    click.echo(f"what to do: {found.advice}")
