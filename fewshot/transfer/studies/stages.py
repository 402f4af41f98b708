"""When does fine-tuning beat fixed features, and is it right to freeze early layers when the domains are close?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.few_images import (
    BATCH,
    CLOSE,
    FAR,
    SIDE,
    Measurement,
    epochs_of,
    measure,
    table,
    tests_against,
    verdict,
)
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.transfer.finetuning import FineTuning

NAME = "stages"
SHOTS = (1, 5, 20)
HEAD, FROZEN, ALL, GRADUAL, FULL, SCRATCH = "head", "early layers frozen", "lp-ft", "gradual", "full", "scratch"
MOVING = "lp-ft, norms moving"
METHODS = (HEAD, FROZEN, ALL, MOVING, GRADUAL, FULL, SCRATCH)
STEPS = 20  # of each stage that trains the trunk; one of the head alone, which costs nothing, takes four times as many
TUNED = "rate=0.001 trunk=0.1 warmup=0.1"
RATES = (
    "All take equally many steps. At a first rate of 0.001 for the trunk fine-tuning lost to fixed features on "
    "these very draws; 0.0001 was then taken, which beat 0.0003 on average over three other draws of the same "
    "images, on photos in 4 of 4 settings and on digits in 1 of 4. Batch norms keep the statistics of the "
    "pretraining, but where they are said to move: there, and from random weights (at 0.001), they take those of "
    "the batch, and so few steps hardly bring the moving ones of evaluation after them."
)


def schedule_of(method: str, images: int) -> str:
    """The stages of a method for so many images, with equally many steps for all."""
    tuned, head = epochs_of(STEPS, images), f"head epochs={epochs_of(4 * STEPS, images)} rate=0.01"
    third, whole = max(1, round(tuned / 3)), f"all epochs={tuned} {TUNED}"
    return {
        HEAD: head,
        FROZEN: f"{head}; top=0.5 epochs={tuned} {TUNED} norms=frozen",
        ALL: f"{head}; {whole} norms=frozen",
        MOVING: f"{head}; {whole}",
        GRADUAL: f"{head}; " + "; ".join(
            f"{part} epochs={third} {TUNED} decay=0.6 norms=frozen"
            for part in ("top=0.34", "top=0.67", "all")
        ),
        FULL: f"{whole} norms=frozen",
        SCRATCH: f"all epochs={tuned} rate=0.001 warmup=0.1",
    }[method]  # fmt: skip


def settings(method: str, images: int) -> FineTuning:
    """Everything of a method, for so many images."""
    from dataclasses import replace

    from fewshot.transfer.finetuning import FineTuning, parse_schedule

    schedule = replace(parse_schedule(schedule_of(method, images)), name=method, pretrained=method != SCRATCH)
    return FineTuning(schedule, batch=BATCH, image_size=SIDE)


def run(store: TransferStore, progress: bool) -> None:
    """Each schedule at each number of shots, on photos and on digits."""
    measurements = [
        Measurement(data, shots, method, partial(settings, method))
        for shots in SHOTS
        for data in (CLOSE, FAR)
        for method in METHODS
    ]
    measure(NAME, measurements, store, progress)


def section(results: Sequence[TransferResult]) -> str:
    """The table, and five answers."""
    if not results:
        return "Nothing is measured yet."
    lines = [*table(results, METHODS), RATES, ""]
    lines.append(f"- Fine-tuning (lp-ft) against features alone (head): {verdict(tests_against(results, ALL, HEAD))}.")
    lines.append(
        "- Early layers frozen against all trained, both after the same head, on photos (close to ImageNet) and digits "
        f"(far from it): {verdict(tests_against(results, FROZEN, ALL))}."
    )
    lines.append(f"- A probe before fine-tuning (lp-ft) against none: {verdict(tests_against(results, ALL, FULL))}.")
    lines.append(
        f"- The statistics of batch norms kept against moving (lp-ft): {verdict(tests_against(results, ALL, MOVING))}."
    )
    lines.append(f"- From pretrained weights against random ones: {verdict(tests_against(results, FULL, SCRATCH))}.")
    return "\n".join(lines)


STUDY = Study(
    NAME,
    "Fine-tuning in stages",
    "From how many shots on does fine-tuning beat fixed features, and should early layers be frozen where domains are "
    "close?",
    run,
    section,
)
