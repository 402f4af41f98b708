"""What the studies of fine-tuning share: five classes with few images of each, drawn anew, and a row a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from fewshot.metrics import PairedTest, paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.result import TransferResult, TransferStore

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.datasets import Dataset
    from fewshot.transfer.finetuning import FineTuning, LabelledImages

BACKBONE = "timm:tf_efficientnet_lite0"
SIDE = 48  # pixels
CLASSES, QUERIES, DRAWS = 5, 30, 5
BATCH = 32
CLOSE, FAR = "caltech101", "mnist"  # photos, as ImageNet has, and drawings of a pen


@dataclass(frozen=True)
class Measurement:
    """One method in one case: `tune` gives the settings for so many images."""

    data: str
    shots: int
    method: str
    tune: Callable[[int], FineTuning]

    @property
    def case(self) -> str:
        """Data and shots, as the store names them."""
        return f"{self.data}, {self.shots} shot{'s' if self.shots > 1 else ''}"


def epochs_of(steps: int, images: int) -> int:
    """The epochs that take `steps` steps of `BATCH` images, so that few shots are not trained for less."""
    return max(1, round(steps / -(-images // BATCH)))


def measure(study: str, measurements: Sequence[Measurement], store: TransferStore, progress: bool) -> None:
    """Train what the store lacks, on the same draws for all methods of a case, and keep each result at once."""
    from fewshot.transfer.finetuning import fine_tune

    missing = [each for each in measurements if not store.has(study, each.case, each.method)]
    with progress_bar(study, len(missing) * DRAWS, show=progress) as advance:
        for each in missing:
            accuracies, started, settings = [], perf_counter(), each.tune(CLASSES * each.shots)
            for draw in range(DRAWS):
                train, test = drawn(each.data, each.shots, draw)
                tuned = fine_tune(BACKBONE, train, settings, device="cpu", progress=False)
                accuracies.append(tuned.score(test))
                advance(1, f"{each.case}: {each.method}")
            store.save(
                TransferResult(
                    study,
                    each.case,
                    each.method,
                    settings.sees,
                    accuracies,
                    settings=settings.facts(),
                    data={"dataset": each.data, "shots": each.shots, "ways": CLASSES, "queries": QUERIES,
                          "image_size": SIDE, "backbone": BACKBONE},
                    seconds=round(perf_counter() - started, 2),
                )
            )  # fmt: skip


@lru_cache(maxsize=8)
def drawn(data: str, shots: int, draw: int) -> tuple[LabelledImages, LabelledImages]:
    """`shots` images of each of five random classes to learn from, and 30 of each to score, by number of the draw."""
    from fewshot.transfer.finetuning import LabelledImages
    from fewshot.transfer.layers import places_in_class

    dataset, most = _dataset(data), 20
    large = [place for place, count in enumerate(dataset.class_counts.tolist()) if count >= most + QUERIES]
    order = torch.randperm(len(large), generator=torch.Generator().manual_seed(draw)).tolist()
    chosen = dataset.select(classes=[large[place] for place in order[:CLASSES]])
    place = places_in_class(chosen.labels, draw)
    parts = (place < shots, (place >= most) & (place < most + QUERIES))
    train, test = (LabelledImages.load(chosen.select(indices=part), _preprocess(), progress=False) for part in parts)
    return train, test


@lru_cache(maxsize=4)
def _dataset(data: str) -> Dataset:
    from fewshot.datasets import load_dataset

    if data in ("mnist", "usps"):
        return load_dataset("mnist-usps").select(where={"domain": data})
    return load_dataset(data, split="test" if data == "cifar-fs" else "all")


@lru_cache(maxsize=1)
def _preprocess() -> Preprocessing:
    from fewshot.backbones.registry import build_network
    from fewshot.transfer.finetuning import resized

    return resized(build_network(BACKBONE, pretrained=False).preprocess, SIDE)


def table(results: Sequence[TransferResult], methods: Sequence[str]) -> list[str]:
    """A Markdown table: a row a method with what it sees, a column a case."""
    cases = ordered_cases(results)
    found = {(result.case, result.method): result for result in results}
    lines = ["| method | sees | " + " | ".join(cases) + " |", "|---|---|" + "---|" * len(cases)]
    for method in methods:
        own = [found.get((case, method)) for case in cases]
        if any(own):
            sees = next(result.sees.kind for result in own if result)
            lines.append(f"| {method} | {sees} | " + " | ".join(map(_cell, own)) + " |")
    draws = ", ".join(map(str, sorted({len(result.draws) for result in results})))
    about = f"Accuracy in %, mean ± half of the 95 % interval over {draws} draws, which are the same for all methods."
    return [*lines, "", about, ""]


def _cell(result: TransferResult | None) -> str:
    if result is None:
        return ""
    known = result.interval
    return f"{100 * known.mean:.1f} ± {100 * known.half_width:.1f}"


def ordered_cases(results: Sequence[TransferResult]) -> list[str]:
    """The cases by data set, then by shots."""
    keys = {result.case: (result.data.get("dataset", ""), result.data.get("shots", 0)) for result in results}
    return sorted(keys, key=keys.__getitem__)


def tests_against(results: Sequence[TransferResult], method: str, other: str) -> Mapping[str, PairedTest]:
    """By case, `method` minus `other` on the same draws, where both are there."""
    found = {(result.case, result.method): result.draws for result in results}
    return {
        case: paired_test(torch.tensor(found[case, method]), torch.tensor(found[case, other]))
        for case in ordered_cases(results)
        if (case, method) in found and (case, other) in found
    }


def told(test: PairedTest) -> str:
    """`+3.1 ± 2.0 points`, and whether that is told from none."""
    known = test.difference
    sure = "" if test.significant else ", not told apart"
    return f"{100 * known.mean:+.1f} ± {100 * known.half_width:.1f} points{sure}"


def verdict(tests: Mapping[str, PairedTest]) -> str:
    """The cases in which the difference is above, below and not told from zero, one by one."""
    groups: dict[str, list[str]] = {"better": [], "worse": [], "not told apart": []}
    for case, test in tests.items():
        sign = "better" if test.difference.mean > 0 else "worse"
        value = f"{case} ({100 * test.difference.mean:+.1f} ± {100 * test.difference.half_width:.1f})"
        groups[sign if test.significant else "not told apart"].append(value)
    return "; ".join(f"{name} on {', '.join(cases)}" for name, cases in groups.items() if cases) or "not measured"
