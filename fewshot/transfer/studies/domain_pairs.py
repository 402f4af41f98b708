"""What the studies of domains share: methods measured on pairs of domains, and the table that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from fewshot.embeddings import EmbeddingTable
from fewshot.metrics import paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.domains import Adaptation
from fewshot.transfer.result import TransferResult, TransferStore


@dataclass(frozen=True, eq=False)
class Pair:
    """A source with labels, and a target whose labels `truth` only score."""

    source: Tensor
    labels: Tensor
    target: Tensor
    truth: Tensor

    def accuracy(self, method: Adaptation) -> float:
        """The share of the target that `method` names rightly."""
        return float((method.adapt(self.source, self.labels, self.target) == self.truth).double().mean())


@dataclass(frozen=True, eq=False)
class Case:
    """Draws of pairs, made when they are asked for, and the methods to try on each; `data` says what they are of."""

    name: str
    draws: Callable[[], Sequence[Pair]]
    methods: Mapping[str, Adaptation]
    data: Mapping[str, Any]


def measure(study: str, cases: Sequence[Case], store: TransferStore, progress: bool) -> None:
    """Measure every method of every case that `store` lacks, and keep each as soon as it is there."""
    for case in cases:
        missing = {label: method for label, method in case.methods.items() if not store.has(study, case.name, label)}
        draws = cache(case.draws)
        with progress_bar(f"{study}: {case.name}", len(missing), show=progress) as advance:
            for label, method in missing.items():
                start = perf_counter()
                reached = [pair.accuracy(method) for pair in draws()]
                seconds = perf_counter() - start
                facts = {**method.facts()["settings"], "method": method.name}
                store.save(
                    TransferResult(
                        study, case.name, label, method.sees, reached, "accuracy", facts, case.data, 0, seconds
                    )
                )
                advance(1, label)


def drawn_pair(whole: Pair, count: int, seed: int) -> Pair:
    """At most `count` items of the source and of the target, drawn by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randperm(len(whole.source), generator=generator)[:count]
    second = torch.randperm(len(whole.target), generator=generator)[:count]
    return Pair(whole.source[first], whole.labels[first], whole.target[second], whole.truth[second])


def pair_of_domains(items: EmbeddingTable, source: str, target: str) -> Pair:
    """All items of two values of the group "domain"."""
    here, there = (items.select(where={"domain": name}) for name in (source, target))
    return Pair(here.features, here.labels, there.features, there.labels)


def table(results: Sequence[TransferResult], baseline: str) -> list[str]:
    """Markdown: accuracy, and the paired difference to `baseline`, of the results of one case; best first."""
    known = {result.method: result for result in results}
    count = max(len(result.draws) for result in results)
    drawn = f"{count} draws" if count > 1 else "one draw"
    lines = [f"| method | sees | accuracy %, {drawn} | over {baseline} | p |", "|---|---|---|---|---|"]
    for result in sorted(results, key=lambda each: -each.interval.mean):
        spread = f" ± {100 * result.interval.half_width:.1f}" if len(result.draws) > 1 else ""
        row = f"| {result.method} | {result.sees.kind} | {100 * result.interval.mean:.1f}{spread} |"
        if result.method == baseline or baseline not in known:
            lines.append(f"{row} | |")
            continue
        difference, p = gain(result, known[baseline])
        lines.append(f"{row} {difference} | {p} |")
    return lines


def gain(result: TransferResult, baseline: TransferResult) -> tuple[str, str]:
    """The paired difference in points with its interval, and the p value; without both for one draw."""
    found = paired_test(torch.tensor(list(result.draws)), torch.tensor(list(baseline.draws)))
    if found.difference.count < 2:
        return f"{100 * found.difference.mean:+.1f}", ""
    return f"{100 * found.difference.mean:+.1f} ± {100 * found.difference.half_width:.1f}", f"{found.p_value:.2g}"


def verdict(results: Sequence[TransferResult], baseline: str) -> str:
    """The best method of one case, and which are above and which below `baseline`, by the paired test at level .05."""
    known = {result.method: result for result in results}
    if baseline not in known:
        return ""
    above: list[str] = []
    below: list[str] = []
    same: list[str] = []
    for name, result in known.items():
        if name == baseline or result.sees.kind == "source-only":
            continue
        test = paired_test(torch.tensor(list(result.draws)), torch.tensor(list(known[baseline].draws)))
        group = same if not test.significant else above if test.difference.mean > 0 else below
        group.append(f"`{name}`")
    tried = [each for name, each in known.items() if name != baseline and each.sees.kind != "source-only"]
    if not tried:
        return ""
    best = max(tried, key=lambda each: each.interval.mean)
    parts = [
        f"the best of {len(tried)}, picked afterwards, is `{best.method}` with {100 * best.interval.mean:.1f} % "
        f"against {100 * known[baseline].interval.mean:.1f} % of {baseline}",
    ]
    parts += [f"above {baseline}: {', '.join(above) or 'none'}", f"below: {', '.join(below) or 'none'}"]
    if same:
        parts.append(f"not told apart: {', '.join(same)}")
    return "; ".join(parts)


def by_case(results: Sequence[TransferResult]) -> dict[str, list[TransferResult]]:
    """The results of each case, in the order of their names."""
    cases: dict[str, list[TransferResult]] = {}
    for result in sorted(results, key=lambda each: each.case):
        cases.setdefault(result.case, []).append(result)
    return cases
