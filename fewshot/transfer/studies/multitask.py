"""Does it help to learn several label sets at once? Balancing methods against single tasks at equal size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING

import torch

from fewshot.progress import progress_bar
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.transfer.multitask import Comparison, LabelSets

NAME = "multitask"
BACKBONE, SMALL = "timm:tf_efficientnet_lite0", "fewshot:conv4-strided-omniglot"
METHODS = ("alone", "alone, steps shared", "equal", "uncertainty", "gradnorm", "pcgrad")
PHOTOS = 12  # of each grocery
ALPHABETS = 4
GROCERY_DRAWS, OMNIGLOT_DRAWS = 10, 5


def run(store: TransferStore, progress: bool) -> None:
    """Measure what the store lacks: groceries on ImageNet features, Omniglot from drawings and random weights."""
    for case, (names, opened) in CASES.items():
        missing = [m for m in METHODS if not all(store.has(NAME, f"{case}: {name}", m) for name in names)]
        if not missing:
            continue
        comparison = opened(case, names, progress)
        with progress_bar(case, sum(map(comparison.steps, missing)), show=progress) as advance:
            for method in missing:
                for result in comparison.measure(method, advance):
                    store.save(result)


def section(results: Sequence[TransferResult]) -> str:
    """A table for each label set, and whether sharing helped and the affinity foretold it."""
    from fewshot.transfer.multitask import verdicts

    results = sorted(results, key=lambda result: METHODS.index(result.method))
    found = list(verdicts(results))
    if not found:
        return "Nothing is measured yet."
    gains = {(verdict.case, verdict.together.method): verdict.test for verdict in found}
    lines: list[str] = []
    for case in sorted({verdict.case for verdict in found}):
        rows = [result for result in results if result.case == case]
        lines += [f"**{case}**, {rows[0].sees}, {len(rows[0].draws)} draws", ""]
        lines += ["| method | accuracy, % | against alone | p |", "|---|---|---|---|"]
        for result in rows:
            test, known = gains.get((case, result.method)), result.interval
            told = f"| {result.method} | {100 * known.mean:.1f} ± {100 * known.half_width:.1f} |"
            if test:
                change = test.difference
                told += f" {100 * change.mean:+.1f} ± {100 * change.half_width:.1f} | {test.p_value:.3f} |"
            lines.append(told if test else f"{told} | |")
        lines.append("")
    return "\n".join([*lines, " ".join(_answer(results))])


def _answer(results: Sequence[TransferResult]) -> Iterator[str]:
    from fewshot.transfer.multitask import ALONE, ALONE_SHARING, verdicts

    for against, subject, words in (
        (ALONE, "learning together", "a network for each label set, as long in training each"),
        (ALONE_SHARING, "learning together", "networks that share the steps"),
        ("equal", "another balancing", "equal weights"),
    ):
        tests = [verdict for verdict in verdicts(results, against) if not verdict.together.method.startswith(ALONE)]
        if not tests:
            continue
        clear = [verdict.test.difference.mean for verdict in tests if verdict.test.significant]
        better, worse = sum(change > 0 for change in clear), sum(change < 0 for change in clear)
        by_case: dict[str, list[float]] = {}
        for verdict in tests:
            by_case.setdefault(verdict.case, []).append(100 * verdict.test.difference.mean)
        yield (
            f"Against {words}, {subject} is better in {better} of {len(tests)} comparisons, worse in {worse}, and the "
            "same within the error in the rest; points on average: "
            + ", ".join(f"{case} {mean(changes):+.1f}" for case, changes in by_case.items())
            + "."
        )
    signs = list(_affinities(results))
    if signs:
        right = [case for case, affinity, gain in signs if (affinity > 0) == (gain > 0)]
        listed = "; ".join(f"{case} {affinity:+.1e}, gain {100 * gain:+.1f}" for case, affinity, gain in signs)
        yield (
            f"The sign of the task affinity is that of the gain of equal weights in {len(right)} of {len(signs)} "
            f"label sets ({listed})."
        )


def _affinities(results: Sequence[TransferResult]) -> Iterator[tuple[str, float, float]]:
    """Of each label set: the mean affinity of the others to it, and the gain of equal weights over it alone."""
    from fewshot.transfer.multitask import verdicts

    for verdict in verdicts(results):
        told = verdict.together.more.get("affinity")
        if told and verdict.together.method == "equal":
            yield verdict.case, mean(value for draws in told.values() for value in draws), verdict.test.difference.mean


def _groceries(case: str, names: Sequence[str], progress: bool, train: int, hidden: int) -> Comparison:
    """Fine and coarse classes; of the `train` photos of each fine class `hidden` have the coarse label alone."""
    from fewshot.datasets import load_dataset
    from fewshot.transfer.multitask import Comparison, Draw, LabelSets, MultitaskTraining, draw_split, open_trunk

    photos = load_dataset("grocery-store").select(where={"domain": "photo"})
    photos = photos.select(indices=draw_split(photos.labels, PHOTOS, 1, seed=0)[0])
    sets = LabelSets.of(photos, names)
    draws = []
    for seed in range(GROCERY_DRAWS):
        chosen, tested = draw_split(sets.codes[:, 0], train, PHOTOS - train, seed)
        unlabelled = chosen.view(-1, train)[:, train - hidden :].flatten()
        draws.append(Draw(sets.hidden(names[0], unlabelled), chosen, tested))
    make_trunk, inputs = open_trunk(BACKBONE, photos, whole=False, progress=progress)
    training = MultitaskTraining(steps=200, batch=64, learning_rate=2e-3, affinity_every=20)
    data = _told(photos, sets) | {
        "backbone": BACKBONE,
        "photos of a class": train,
        "with its fine label": train - hidden,
    }
    return Comparison(NAME, case, make_trunk, inputs, draws, training, INDUCTIVE, data)


def _omniglot(case: str, names: Sequence[str], progress: bool) -> Comparison:
    """Characters and alphabets of four alphabets, five drawings of each character to learn from."""
    from fewshot.datasets import load_dataset
    from fewshot.transfer.multitask import Comparison, Draw, LabelSets, MultitaskTraining, draw_split, open_trunk

    drawings = load_dataset("omniglot", split="background")
    alphabets = drawings.groups["alphabet"]
    present = alphabets.codes.unique()
    chosen = present[torch.randperm(len(present), generator=torch.Generator().manual_seed(0))[:ALPHABETS]]
    drawings = drawings.select(indices=torch.isin(alphabets.codes, chosen))
    sets = LabelSets.of(drawings, names)
    parts = map(partial(draw_split, sets.codes[:, 0], 5, 5), range(OMNIGLOT_DRAWS))
    draws = [Draw(sets, *part) for part in parts]
    make_trunk, inputs = open_trunk(SMALL, drawings, whole=True, pretrained=False, progress=progress)
    training = MultitaskTraining(steps=100, batch=64, learning_rate=5e-3, affinity_every=10)
    data = _told(drawings, sets) | {"backbone": SMALL, "drawings of a character": 5}
    return Comparison(NAME, case, make_trunk, inputs, draws, training, TARGET_ONLY, data)


def _told(dataset: Dataset, sets: LabelSets) -> dict[str, object]:
    sizes = dict(zip(sets.names, sets.sizes, strict=True))
    return {"dataset": dataset.name, "fingerprint": dataset.fingerprint, "items": len(dataset), "classes": sizes}


CASES: dict[str, tuple[tuple[str, str], Callable[..., Comparison]]] = {
    "grocery-store": (("class", "coarse"), partial(_groceries, train=3, hidden=0)),
    "grocery-store with few fine labels": (("class", "coarse"), partial(_groceries, train=6, hidden=5)),
    "omniglot": (("class", "alphabet"), _omniglot),
}

STUDY = Study(
    NAME,
    "Several label sets at once",
    "Is one network that learns several label sets better than one for each?",
    run,
    section,
)
