"""`fewshot transfer tune`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, load_images, with_options
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings
from fewshot.cli.transfer.held_out import Parts, held_out_options

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.transfer.finetuning import FineTuned, FineTuning

NEXT = """next, in Python:
  import fewshot
  backbone = fewshot.create_backbone("file:{name}@{path}")"""

step_options = with_options(
    click.option("--image-size", type=click.IntRange(8), help="In pixels; by default the network's own."),
    click.option("--batch", type=click.IntRange(2), default=32, show_default=True, help="Images a step."),
    click.option(
        "--optimizer",
        type=click.Choice(["adamw", "sgd"]),
        default="adamw",
        show_default=True,
        help="How gradients become steps.",
    ),
    click.option("--weight-decay", type=float, default=1e-4, show_default=True, help="Of the weights, a step."),
    click.option("--clip", type=float, default=0.0, help="Largest norm of the gradient; 0 for no limit."),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16"]),
        default="float32",
        show_default=True,
        help="What most is computed in.",
    ),
)


@click.command()
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder of the training.")
@click.option("--backbone", default="timm:tf_efficientnet_lite0", show_default=True, help="The network to start from.")
@click.option("--split", default="all", show_default=True, help="Split of the data set.")
@click.option(
    "--schedule", default="lp-ft", show_default=True, help="head, gradual, lp-ft, full, scratch, or stages of your own."
)
@click.option("--augment", default="none", show_default=True, help="none, light, geometric, strong, or flip+mixup.")
@click.option("--regulariser", help="l2-sp, delta, bss, stoch-norm, co-tuning or lora; l2-sp:alpha=0.1 for a setting.")
@click.option("--random", "untrained", is_flag=True, help="Random weights in place of pretrained ones.")
@held_out_options
@step_options
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of split, first head and batches.")
@device_option
@json_option
def tune(
    data: str,
    out: Path,
    backbone: str,
    split: str,
    schedule: str,
    augment: str,
    regulariser: str | None,
    untrained: bool,
    shots: int | None,
    held_out: float,
    validation: float,
    patience: int,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Fine-tune a network on DATA in stages, and tell how good it is on images that it has not seen.

    OUT gets the best and the last checkpoint and backbone.safetensors, the trained weights without the classifier.
    A training that was stopped goes on when the same command is given again. Stages of your own are separated by `;`,
    each what it trains (head, all, top=SHARE of the depth, or names of layers) and settings: epochs, rate, trunk,
    decay, warmup, cosine, norms.

    \b
    Example:
      fewshot transfer tune photos --schedule gradual --augment light --out runs/photos
      fewshot transfer tune caltech101 --shots 5 --regulariser l2-sp --image-size 64 --out runs/l2-sp
      fewshot transfer tune photos --out runs/own \\
        --schedule "head epochs=10; top=0.5 epochs=5 rate=0.001 decay=0.6 norms=frozen"
    """
    from fewshot.transfer.finetuning import FineTuning, fine_tune, parse_regulariser, parse_schedule

    chosen = parse_regulariser(regulariser) if regulariser else None
    stages = parse_schedule(schedule)
    if untrained:
        stages = replace(stages, pretrained=False)
    training = FineTuning(stages, augment, chosen, patience=patience, **settings)
    with told_warnings():
        parts = Parts.of(load_images(data, split), shots, held_out, validation if patience else 0.0, training.seed)
        _tell_start(backbone, parts, out)
        tuned = fine_tune(
            backbone,
            parts.train,
            training,
            parts.validation,
            out=out,
            device=device,
            progress=not as_json,
            told=_tell_row,
        )
        report = _report(tuned, parts.test, training, out)
    if as_json:
        print_json(report)
    else:
        _tell_report(report, tuned.model.name)


def _tell_start(backbone: str, parts: Parts, out: Path) -> None:
    train, goes_on = parts.train, (out / "last.safetensors").exists()
    click.echo(
        f"{backbone} learns from {len(train)} images of {len(train.class_names)} classes of {train.name}, scored on "
        f"{len(parts.test)} others; {'goes on with' if goes_on else 'into'} {out}",
        err=True,
    )


def _tell_row(row: dict[str, Any]) -> None:
    told = f"epoch {row['epoch']} ({row['stage']}): loss {row['loss']:.3f}"
    if row["held_out_accuracy"] is not None:
        told += f", validation {100 * row['held_out_accuracy']:.1f} %"
    # not by click, which would write into the bar rather than above it
    print(told, file=sys.stderr)


def _report(tuned: FineTuned, test: Dataset, training: FineTuning, out: Path) -> dict[str, Any]:
    """Score the held-out images, and write the backbone and `result.json`."""
    from fewshot.files import write_json
    from fewshot.metrics import accuracy_interval
    from fewshot.transfer.finetuning import LabelledImages

    images = LabelledImages.load(test, tuned.model.preprocess, progress=False)
    right = (tuned.logits(images).argmax(1) == images.labels).double()
    interval = accuracy_interval(right)
    tuned.model.export_backbone(out / "backbone.safetensors")
    report = {
        "accuracy": interval.mean,
        "ci95": interval.half_width if interval.count > 1 else 0.0,
        "test items": len(test),
        "train items": tuned.record["items"],
        "generated": tuned.record["generated"],
        "epochs": len(tuned.history),
        "best epoch": tuned.best_epoch,
        "seconds": tuned.seconds,
        "sees": str(training.sees),
        "record": tuned.record,
        "history": tuned.history,
        "backbone": str(out / "backbone.safetensors"),
    }
    write_json(out / "result.json", report)
    return report


def _tell_report(report: dict[str, Any], name: str) -> None:
    accuracy = f"{100 * report['accuracy']:.2f} ± {100 * report['ci95']:.2f} %"
    print_facts(
        {
            "trained": f"{report['epochs']} epochs in {report['seconds']:,.1f} s, {report['train items']} images",
            "sees": report["sees"],
            "kept": f"epoch {report['best epoch']}",
            "held out": f"{accuracy} of {report['test items']} images",
        }
    )
    click.echo(NEXT.format(name=name, path=report["backbone"]))
