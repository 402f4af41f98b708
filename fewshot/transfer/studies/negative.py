"""Negative transfer: sources that hurt when they are taken on trust, and what each remedy gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import torch

import fewshot
from fewshot.metrics import PairedTest, paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.negative import held_out_choice
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import TARGET_ONLY
from fewshot.transfer.studies.negative_cases import ALONE, CASES, FOLDS, PENALTY, TRUST, Case
from fewshot.transfer.studies.study import Study

NAME = "negative"
DRAWS, SHOTS = 20, 3
BACK = "fall back"


def measure(name: str, case: Case) -> list[TransferResult]:
    """The accuracy of every way, and of falling back to no transfer where held-out labels say so, on the same draws."""
    ways = {**case.ways, BACK: held_out_choice({way: case.ways[way] for way in (ALONE, TRUST)}, case.labels, FOLDS)}
    episodes = fewshot.EpisodeSampler(case.labels, ways="all", shots=SHOTS, queries=case.queries).sample(DRAWS)
    results = []
    for way, candidate in ways.items():
        start, draws = perf_counter(), []
        for support, query in zip(episodes.support, episodes.query, strict=True):
            draws.append(float((candidate(support, query) == case.labels[query]).double().mean()))
        sees = TARGET_ONLY if way == ALONE else case.sees
        settings = {"shots": SHOTS, "folds": FOLDS, "penalty": PENALTY}
        results.append(
            TransferResult(
                NAME, name, way, sees, draws, settings=settings, data=case.data, seconds=perf_counter() - start
            )
        )
    return results


def run(store: TransferStore, progress: bool) -> None:
    """Flipped source labels, a head turned at random, and a depth that does not suit; and each as it should be."""
    with progress_bar("negative transfer", len(CASES), show=progress) as advance:
        for name, make in CASES.items():
            if not store.has(NAME, name, BACK):  # the last to be saved
                for result in measure(name, make()):
                    store.save(result)
            advance(1, name)


def section(results: Sequence[TransferResult]) -> str:
    """Each way by case with its gain over the target alone and over the source on trust, and what came of it."""
    cases: dict[str, dict[str, TransferResult]] = {}
    for result in results:
        cases.setdefault(result.case, {})[result.method] = result
    cases = {case: found for case, found in cases.items() if {ALONE, TRUST} <= found.keys()}
    if not cases:
        return "Nothing was measured yet."
    rows: list[str] = []
    hurt: list[str] = []
    helped: list[str] = []
    mended: dict[str, tuple[int, int]] = {}
    for case in sorted(cases, key=lambda case: (*CASES, case).index(case)):
        found = cases[case]
        gain = _gain(found[TRUST], found[ALONE])
        if gain.significant:
            (hurt if gain.difference.mean < 0 else helped).append(case)
        for way in sorted(found, key=_place):
            against = ["" if way == other else _told(_gain(found[way], found[other])) for other in (ALONE, TRUST)]
            mean = found[way].interval
            told = f"{100 * mean.mean:.1f} ± {100 * mean.half_width:.1f}"
            rows.append(f"| {case} | {way} | {told} | {against[0]} | {against[1]} | {found[way].sees.kind} |")
            if way not in (ALONE, TRUST) and case in hurt:
                back, tried = mended.get(way, (0, 0))
                better = _gain(found[way], found[TRUST])
                mended[way] = (back + (better.significant and better.difference.mean > 0), tried + 1)
    head = (
        "| case | method | accuracy % ± ci95 | against the target alone | against the source on trust | sees |\n"
        "|---|---|---|---|---|---|"
    )
    return "\n".join(
        [f"{SHOTS} labels a class of the target, {DRAWS} draws; differences beyond doubt (paired, 95 %) are bold.", "",
         head, *rows, "", _answer(cases, hurt, helped, mended)]
    )  # fmt: skip


def _answer(
    cases: Mapping[str, Mapping[str, TransferResult]],
    hurt: Sequence[str],
    helped: Sequence[str],
    mended: Mapping[str, tuple[int, int]],
) -> str:
    told = (
        f"**Answer.** Taken on trust the source hurt in {len(hurt)} of {len(cases)} cases and helped in {len(helped)}"
    )
    if hurt:
        told += f" (it hurt in {'; '.join(hurt)}). Where it hurt, these beat trust beyond doubt: "
        told += ", ".join(f"{way} in {back} of {tried}" for way, (back, tried) in mended.items())
    told += f". {_against_alone(cases)}"
    kept = [case for case in helped if BACK in cases[case]]
    if kept:
        lost = [_gain(cases[case][TRUST], cases[case][BACK]).difference.mean for case in kept]
        told += f"; where the source helped, falling back gave up {100 * sum(lost) / len(lost):.1f} points in the mean"
    return told + "."


def _against_alone(cases: Mapping[str, Mapping[str, TransferResult]]) -> str:
    """How often each way beats the target alone, and loses to it, beyond doubt."""
    counts: dict[str, list[int]] = {}
    for found in cases.values():
        for way in found:
            if way != ALONE:
                gain, count = _gain(found[way], found[ALONE]), counts.setdefault(way, [0, 0, 0])
                count[0] += gain.significant and gain.difference.mean > 0
                count[1] += gain.significant and gain.difference.mean < 0
                count[2] += 1
    told = [f"{way} wins {counts[way][0]} and loses {counts[way][1]} of {counts[way][2]}"
            for way in sorted(counts, key=_place)]  # fmt: skip
    return f"Against the target alone, beyond doubt and over all cases: {'; '.join(told)}"


def _gain(one: TransferResult, other: TransferResult) -> PairedTest:
    return paired_test(torch.tensor(one.draws), torch.tensor(other.draws))


def _told(gain: PairedTest) -> str:
    told = f"{100 * gain.difference.mean:+.1f} ± {100 * gain.difference.half_width:.1f}"
    return f"**{told}**" if gain.significant else told


def _place(way: str) -> tuple[int, str]:
    order = (ALONE, TRUST, "agreeing items", "TrAdaBoost", "density ratio", "pull, held out", "depth, held out", BACK)
    return (order.index(way) if way in order else len(order)), way


STUDY = Study(
    NAME,
    "Negative transfer",
    "Does a source that does not suit hurt, and do selection, weighting, a pull, the choice of depth and falling back "
    "mend it?",
    run,
    section,
)
