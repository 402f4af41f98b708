"""What it saves to run frozen layers once, and to take the features of all layers in one pass.

Run with `uv run python benchmarks/transfer_training.py`; needs the package with the weights of EfficientNet-Lite0 and
`FEWSHOT_DATA`. Ratios are times over the first way of each part. Fine-tuning: the plain loop runs the whole network on
every image in every epoch; fewshot runs what is frozen once and keeps its output. Schedule and seed are the same, and
but for rounding the result.
Layers: a pass a layer, each up to that layer, against one pass that gives them all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click
import torch
from timing import in_turn, keep, side_by_side

import fewshot
from fewshot.transfer.finetuning import FineTuning, LabelledImages, build_model, fine_tune, parse_schedule
from fewshot.transfer.layers import layer_extractor

BACKBONE = "timm:tf_efficientnet_lite0"
SIDE, CLASSES, IMAGES = 64, 5, 60
SCHEDULES = {
    "only the head is trained, 20 epochs": "head epochs=20 rate=0.01",
    "the upper half is trained, 5 epochs": "top=0.5 epochs=5 rate=0.001",
    "the topmost stages are trained, 5 epochs": "top=0.2 epochs=5 rate=0.001",
}
KEPT = "fewshot, frozen layers run once"
WAYS = ("plain loop", KEPT)
WORK = "Fine-tuning with what is frozen run once, and all layers in one pass, against plain loops; one thread"


def images_of(side: int) -> LabelledImages:
    dataset = fewshot.load_dataset("caltech101")
    dataset = dataset.select(
        classes=[place for place, count in enumerate(dataset.class_counts) if count >= 20][:CLASSES]
    )
    rows = [(dataset.labels == each).nonzero().flatten()[: IMAGES // CLASSES] for each in range(CLASSES)]
    preprocess = build_model(BACKBONE, CLASSES, side, pretrained=False).preprocess
    return LabelledImages.load(dataset.select(indices=torch.cat(rows)), preprocess, progress=False)


def seconds_of_training(images: LabelledImages, schedule: str, cached: bool) -> float:
    """Of the epochs and of what is run once before them, without building the network."""
    training = FineTuning(parse_schedule(schedule), cache_prefix=cached)
    return fine_tune(BACKBONE, images, training, device="cpu", progress=False).seconds


def layers(images: LabelledImages) -> dict[str, Callable[[], object]]:
    """Features of every layer of all images: one pass a layer, or one for all."""
    every = layer_extractor(BACKBONE, device="cpu", precision="float32")
    single = [layer_extractor(BACKBONE, [name], "cpu", "float32") for name in every.names]
    floats = images.scaled_for(every.backbone.preprocess).floats(images.pixels)
    return {
        "one pass a layer": lambda: [each(floats) for each in single],
        "fewshot, all layers in one pass": lambda: every(floats),
    }


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Rounds that are timed.")
def main(rounds: int) -> None:
    measure(rounds)


def measure(rounds: int = 3) -> None:
    torch.set_num_threads(1)
    images = images_of(SIDE)
    about = f"{len(images)} images of {SIDE} pixels"
    measurements = {}

    def note(work: str, found: dict[str, dict[str, float]]) -> None:
        measurements[f"{work}, {about}"] = found
        keep("transfer_training", {"work": WORK, "backbone": BACKBONE, "threads": 1, "measurements": measurements})

    for work, schedule in SCHEDULES.items():
        note(
            work, in_turn({name: partial(seconds_of_training, images, schedule, name == KEPT) for name in WAYS}, rounds)
        )
    note("features of all layers", side_by_side(layers(images), rounds))


if __name__ == "__main__":
    main()
