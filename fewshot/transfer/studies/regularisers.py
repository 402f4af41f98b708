"""Does a regulariser of fine-tuning pay with few images?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies import stages
from fewshot.transfer.studies.few_images import (
    BATCH,
    CLOSE,
    FAR,
    SIDE,
    Measurement,
    measure,
    table,
    tests_against,
    verdict,
)
from fewshot.transfer.studies.stages import RATES, schedule_of
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.transfer.finetuning import FineTuning

NAME = "regularisers"
SHOTS = 5
PLAIN, MOVING = "none", "none, norms moving"
NEEDS_MOVING = "stoch-norm"  # it mixes the statistics of the batch and the kept ones
METHODS = (PLAIN, "l2-sp", "delta", "bss", "co-tuning", "lora", MOVING, NEEDS_MOVING)


def settings(method: str, images: int) -> FineTuning:
    """A probe, then everything, with a regulariser at its own defaults."""
    from fewshot.transfer.finetuning import FineTuning, create_regulariser, parse_schedule

    regulariser = None if method in (PLAIN, MOVING) else create_regulariser(method)
    schedule = schedule_of(stages.MOVING if method in (MOVING, NEEDS_MOVING) else stages.ALL, images)
    return FineTuning(parse_schedule(schedule), regulariser=regulariser, batch=BATCH, image_size=SIDE)


def run(store: TransferStore, progress: bool) -> None:
    """Each regulariser with five shots, on photos and on digits."""
    measurements = [
        Measurement(data, SHOTS, method, partial(settings, method)) for data in (CLOSE, FAR) for method in METHODS
    ]
    measure(NAME, measurements, store, progress)


def section(results: Sequence[TransferResult]) -> str:
    """The table, and each regulariser against none."""
    if not results:
        return "Nothing is measured yet."
    lines = [*table(results, METHODS), RATES, ""]
    for method in METHODS[1:]:
        tests = tests_against(results, method, MOVING if method == NEEDS_MOVING else PLAIN)
        if tests:
            plain = "plain fine-tuning" + (" with moving norms" if method == NEEDS_MOVING else "")
            lines.append(f"- {method} against {plain}: {verdict(tests)}.")
    return "\n".join(lines)


STUDY = Study(
    NAME,
    "Regularised fine-tuning",
    "Does a regulariser, at its paper's settings, make fine-tuning with five images a class better?",
    run,
    section,
)
