"""Negative transfer: sources that hurt when they are taken on trust, and what each remedy gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

import fewshot
from fewshot.metrics import PairedTest, paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.domains.weighting import discriminator_weights
from fewshot.transfer.negative import (
    LinearHead,
    agreeing_items,
    fit_head,
    head_candidate,
    held_out_choice,
    tradaboost,
)
from fewshot.transfer.negative.cross_validation import Candidate
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY, Sees
from fewshot.transfer.studies.small_targets import (
    depth_tables,
    pixel_table,
    small_digits,
    small_groceries,
    small_target,
)
from fewshot.transfer.studies.study import Study

NAME = "negative"
DRAWS, SHOTS, FOLDS = 20, 3, 3
PENALTY, PULLS = 0.1, (0.1, 1.0, 10.0, 100.0)
ALONE, TRUST, BACK = "target alone", "source on trust", "fall back"
WITH_SOURCE = Sees(source=True, target_labels=True)


@dataclass(frozen=True, eq=False)
class Case:
    """A target with its labels (N,), and ways to learn it: `ALONE`, `TRUST` and the remedies, each a `Candidate`."""

    labels: Tensor
    ways: Mapping[str, Candidate]
    sees: Sees
    queries: int
    data: Mapping[str, Any] = field(default_factory=dict)


def digits_case(domain: str, permuted: int) -> Case:
    """Digits of "mnist" or other ones of "usps" beside a few of USPS; the first `permuted` have their labels moved on.

    Moved on by one among themselves, that is: with all ten no label is right.
    """
    usps = small_digits("usps", 120)
    by_class = usps.labels.argsort(stable=True)
    target = usps.select(by_class[::2])
    source = usps.select(by_class[1::2]) if domain == "usps" else small_digits(domain, 100)
    moved = torch.where(source.labels < permuted, (source.labels + 1) % max(permuted, 1), source.labels)
    pixels = [normalize(avg_pool2d(pixel_table(part).features.view(-1, 3, 32, 32).mean(1, keepdim=True), 2).flatten(1))
              for part in (source, target)]  # fmt: skip
    about = {"source": domain, "target": "usps", "permuted": permuted, "features": "pixels"}
    return pooled_case(pixels[0], moved, pixels[1], target.labels, 10, about)


def pooled_case(
    source: Tensor, source_labels: Tensor, features: Tensor, labels: Tensor, ways: int, data: Mapping[str, Any]
) -> Case:
    """Source items beside the target's: all, those that agree, or weighted, by TrAdaBoost or by likeness alone."""
    alone = head_candidate(features, labels, ways, PENALTY)
    head = fit_head(source, source_labels, ways, PENALTY)

    def pooled(kept: Tensor, learn: Tensor, answer: Tensor) -> Tensor:
        items, known = torch.cat([source[kept], features[learn]]), torch.cat([source_labels[kept], labels[learn]])
        return fit_head(items, known, ways, PENALTY).predict(features[answer])

    def selected(learn: Tensor, answer: Tensor) -> Tensor:
        kept = agreeing_items(source, source_labels, features[learn], labels[learn], ways, penalty=PENALTY)
        return pooled(kept, learn, answer)

    def boosted(learn: Tensor, answer: Tensor) -> Tensor:
        heads = tradaboost(source, source_labels, features[learn], labels[learn], ways, penalty=PENALTY)
        return heads.predict(features[answer])

    def weighted(learn: Tensor, answer: Tensor) -> Tensor:
        weights = torch.cat([discriminator_weights(source, features[learn], folds=3), torch.ones(len(learn))])
        items, known = torch.cat([source, features[learn]]), torch.cat([source_labels, labels[learn]])
        return fit_head(items, known, ways, PENALTY, weights).predict(features[answer])

    trust = partial(pooled, torch.ones(len(source), dtype=torch.bool))
    found: dict[str, Candidate] = {ALONE: alone, TRUST: trust, "agreeing items": selected, "TrAdaBoost": boosted}
    found |= {"density ratio": weighted, "pull, held out": _pull_held_out(features, labels, ways, head)}
    return Case(labels, found, WITH_SOURCE, 15, data)


def pulled_case(turned: bool) -> Case:
    """A head learned on shop photos of groceries pulls one learned on a few others; or one turned at random does."""
    source, target = small_groceries("train"), small_groceries("test")
    features = [normalize(depth_tables(part)["last"].features.float()) for part in (source, target)]
    ways = len(target.class_names)
    head = fit_head(features[0], source.labels, ways, PENALTY)
    if turned:
        noise = torch.randn(features[0].shape[1], features[0].shape[1], generator=torch.Generator().manual_seed(0))
        head = LinearHead(head.weight @ torch.linalg.qr(noise.double()).Q, head.bias)
    x, y = features[1], target.labels

    def pulled(learn: Tensor, answer: Tensor) -> Tensor:
        return fit_head(x[learn], y[learn], ways, PULLS[-1], towards=head).predict(x[answer])

    found: dict[str, Candidate] = {
        ALONE: head_candidate(x, y, ways, PENALTY),
        TRUST: pulled,
        "pull, held out": _pull_held_out(x, y, ways, head),
    }
    return Case(y, found, WITH_SOURCE, 15, {"target": "grocery test photos", "source": "a head", "turned": turned})


def depth_case(name: str, side: int = 64) -> Case:
    """The last features of an ImageNet network on drawings, against pixels, the other depths, and a choice of depth."""
    dataset = small_target(name, 20, 40)
    ways = len(dataset.class_names)
    tables = {ALONE: pixel_table(dataset), **depth_tables(dataset, side)}
    heads: dict[str, Candidate] = {
        TRUST if depth == "last" else depth: head_candidate(table.features, dataset.labels, ways, PENALTY)
        for depth, table in tables.items()
    }
    found = {ALONE: heads[ALONE], TRUST: heads[TRUST]}
    found["depth, held out"] = held_out_choice(heads, dataset.labels, FOLDS, standard_errors=0)
    return Case(dataset.labels, found, INDUCTIVE, 12, {"target": name, "source": "ImageNet", "side": side})


CASES = {
    "MNIST to USPS, all labels permuted": partial(digits_case, "mnist", 10),
    "MNIST to USPS, half of the labels permuted": partial(digits_case, "mnist", 5),
    "MNIST to USPS, true labels": partial(digits_case, "mnist", 0),
    "USPS to USPS, half of the labels permuted": partial(digits_case, "usps", 5),
    "USPS to USPS, true labels": partial(digits_case, "usps", 0),
    "grocery head turned at random": partial(pulled_case, True),
    "grocery head as it is": partial(pulled_case, False),
    "last ImageNet features, Omniglot": partial(depth_case, "omniglot"),
    "last ImageNet features, USPS": partial(depth_case, "usps"),
    "last ImageNet features of 32 pixels, USPS": partial(depth_case, "usps", 32),
}


def _pull_held_out(features: Tensor, labels: Tensor, ways: int, head: LinearHead) -> Candidate:
    """L2-SP whose strength held-out labels choose, none at all among them."""

    def pulled(penalty: float, learn: Tensor, answer: Tensor) -> Tensor:
        return fit_head(features[learn], labels[learn], ways, penalty, towards=head).predict(features[answer])

    strengths: dict[str, Candidate] = {ALONE: head_candidate(features, labels, ways, PENALTY)}
    strengths |= {f"pull {penalty:g}": partial(pulled, penalty) for penalty in PULLS}
    return held_out_choice(strengths, labels, FOLDS)


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
