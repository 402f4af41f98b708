"""`fewshot transfer pretrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fewshot.cli.arguments import device_option, read_settings, skip_broken_option
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings

NEXT = """next:
  fewshot bench run --dataset cifar-fs --backbone {name} --learner prototypical
  fewshot embed my/photos --backbone {name} --out photos.table"""


@click.command()
@click.argument("data")
@click.option("--objective", default="denoising", show_default=True, help="plain, denoising, variational or masked.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting of the objective; repeatable.")
@click.option("--backbone", default="fewshot:conv4-32", show_default=True, help="The network to teach.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder of the pretraining.")
@click.option("--split", default="all", show_default=True, help="The split of a data set; also DATA@SPLIT.")
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True, help="Steps of the optimiser.")
@click.option("--batch", type=click.IntRange(2), default=128, show_default=True, help="Images a step.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="At the first step.")
@click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Of the weights, a step.")
@click.option("--augmentation", multiple=True, help="crop, flip or jitter; repeatable.")
@click.option("--save-every", type=click.IntRange(1), default=200, show_default=True, help="Steps between checkpoints.")
@click.option(
    "--precision", default="float32", show_default=True, type=click.Choice(["float32", "bfloat16"]), help="Of the work."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of first weights and draws.")
@device_option
@skip_broken_option
@json_option
def pretrain(
    data: str,
    objective: str,
    changes: tuple[str, ...],
    backbone: str,
    out: Path,
    split: str,
    device: str,
    skip_broken: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Learn a backbone from DATA: all pictures of a folder or zip, or a data set by name, without their labels.

    OUT gets encoder.safetensors, which every command takes as a backbone, and the log. A pretraining that was stopped
    goes on when the same command is given again.

    \b
    Example:
      fewshot transfer pretrain my/photos --objective masked --set share=0.5 --out runs/masked
      fewshot transfer pretrain cifar-fs@train --objective denoising --out runs/denoising
    """
    from fewshot.backbones import create_backbone
    from fewshot.transfer.self_taught import Pretraining, create_objective, load_unlabelled
    from fewshot.transfer.self_taught import pretrain as teach

    chosen = create_objective(objective, **read_settings(changes))
    training = Pretraining(**settings)
    with told_warnings():
        name, _, named = data.partition("@")
        images = load_unlabelled(name, named or split, skip_broken)
        click.echo(f"{chosen.name} teaches {backbone} on {len(images)} images of {images.name}; into {out}", err=True)
        path = teach(chosen, backbone, images, out, training, device, not as_json, _tell_row)
    full = f"file:{backbone}@{path}"
    taught = create_backbone(full, device=device)
    facts = {"backbone": full, "dim": taught.dim, "fingerprint": taught.fingerprint, "images": len(images)}
    if as_json:
        print_json({**facts, "steps": training.steps})
        return
    print_facts(facts)
    click.echo(NEXT.format(name=full))


def _tell_row(row: dict[str, Any]) -> None:
    # not by click, which would write into the bar rather than above it
    print(f"step {row['step']}: loss {row['loss']:.4f}, {row['images_per_second']:,.0f} images/s", file=sys.stderr)
