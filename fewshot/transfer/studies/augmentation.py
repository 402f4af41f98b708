"""Does augmentation help most where there are the fewest images?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from fewshot.metrics import paired_test
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.few_images import (
    BATCH,
    CLOSE,
    SIDE,
    Measurement,
    measure,
    table,
    tests_against,
    told,
    verdict,
)
from fewshot.transfer.studies.stages import ALL, RATES, schedule_of
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.transfer.finetuning import FineTuning

NAME = "augmentation"
SHOTS = (1, 5, 20)
PLAIN = "none"
METHODS = (PLAIN, "light", "geometric", "mixup", "strong")


def settings(method: str, images: int) -> FineTuning:
    """A probe, then everything; all but "none" change the images anew in each epoch."""
    from fewshot.transfer.finetuning import FineTuning, parse_schedule

    return FineTuning(parse_schedule(schedule_of(ALL, images)), augment=method, batch=BATCH, image_size=SIDE)


def run(store: TransferStore, progress: bool) -> None:
    """Each policy at each number of shots, on photos."""
    measure(
        NAME,
        [Measurement(CLOSE, shots, method, partial(settings, method)) for shots in SHOTS for method in METHODS],
        store,
        progress,
    )


def section(results: Sequence[TransferResult]) -> str:
    """The table, each policy against none, and whether the gain falls with the shots."""
    if not results:
        return "Nothing is measured yet."
    lines = [*table(results, METHODS), RATES, ""]
    found = {(result.data["shots"], result.method): torch.tensor(result.draws) for result in results}
    fewest, most = min(shots for shots, _ in found), max(shots for shots, _ in found)
    for method in METHODS[1:]:
        tests = tests_against(results, method, PLAIN)
        if not tests:
            continue
        line = f"- {method} against none: {verdict(tests)}"
        ends = [(shots, each) for shots in (fewest, most) for each in (method, PLAIN)]
        if fewest < most and all(end in found for end in ends):
            few, many = (found[shots, method] - found[shots, PLAIN] for shots in (fewest, most))
            line += f"; gain at {fewest} less gain at {most} shots: {told(paired_test(few, many))}"
        lines.append(line + ".")
    return "\n".join(lines)


STUDY = Study(
    NAME,
    "Augmentation by shots",
    "Does augmentation help most at few shots?",
    run,
    section,
)
