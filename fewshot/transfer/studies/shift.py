"""The diagnosis on shifts made on purpose and on real ones: does it name the right kind?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean
from time import perf_counter

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fewshot.progress import progress_bar
from fewshot.transfer.domains import diagnose_shift
from fewshot.transfer.domains.domain_data import mnist_usps_pixels, office_caltech10
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE, Sees
from fewshot.transfer.studies.domain_pairs import Pair, by_case, drawn_pair, pair_of_domains
from fewshot.transfer.studies.study import Study

NAME = "shift"
DRAWS, ITEMS = 5, 400
# each way to look: what it sees, and whether a concept shift can be seen by it
WAYS = {"with target labels": INDUCTIVE, "without": Sees(source=True, target=True)}
UNKNOWN = "unknown"


def run(store: TransferStore, progress: bool) -> None:
    """Each case with and without labels of the target; a draw is 1 where the kinds named are those that are there.

    Between real domains, of which the kinds are not known, it is 1 where a covariate shift is among those named.
    """
    for case, (make, truth) in CASES.items():
        for way, sees in WAYS.items():
            if store.has(NAME, case, way):
                continue
            start, found = perf_counter(), []
            with progress_bar(f"{NAME}: {case}, {way}", DRAWS, show=progress) as advance:
                for seed in range(DRAWS):
                    pair = make(seed)
                    labels = pair.truth if sees.target_labels else None
                    found.append(diagnose_shift(pair.source, pair.labels, pair.target, labels, 200, seed=seed))
                    advance(1)
            wanted = {kind for kind in truth if kind != "concept" or sees.target_labels}
            right = [
                float("covariate" in each.kinds if UNKNOWN in truth else wanted == set(each.kinds)) for each in found
            ]
            more = {
                "kinds": [list(each.kinds) for each in found],
                "proxy_a": [each.proxy_a.value for each in found],
                "mmd": [each.mmd.squared for each in found],
                "p": [each.mmd.p_value for each in found],
            }
            seconds = perf_counter() - start
            about = {"truth": list(truth), "items": ITEMS}
            store.save(
                TransferResult(
                    NAME, case, way, sees, right, "right kinds", {"permutations": 200}, about, 0, seconds, more
                )
            )


def section(results: Sequence[TransferResult]) -> str:
    """What was there and what was named, and in how many draws that is right."""
    if not results:
        return "Nothing is measured yet."
    lines = [
        "| shift | what is there | diagnosis | named, in how many draws | proxy A-distance | right |",
        "|---|---|---|---|---|---|",
    ]
    for case, found in by_case(results).items():
        for each in found:
            named: dict[str, int] = {}
            for kinds in each.more["kinds"]:
                named[" + ".join(kinds) or "none"] = named.get(" + ".join(kinds) or "none", 0) + 1
            told = ", ".join(f"{name} ({count})" for name, count in named.items())
            truth = " + ".join(each.data["truth"]) or "none"
            right = f"{int(sum(each.draws))} of {len(each.draws)}"
            lines.append(f"| {case} | {truth} | {each.method} | {told} | {mean(each.more['proxy_a']):.2f} | {right} |")
    made = [each for each in results if UNKNOWN not in each.data["truth"]]
    for way in WAYS:
        draws = [value for each in made if each.method == way for value in each.draws]
        if draws:
            lines += ["", f"Of the shifts made on purpose, the diagnosis {way} is right in {int(sum(draws))} of "
                      f"{len(draws)} draws."]  # fmt: skip
    lines += ["", "A concept shift cannot be seen without labels of the target; there naming nothing counts as right."]
    return "\n".join(lines)


def _mnist(change: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]], seed: int) -> Pair:
    """Two halves of MNIST, the second changed."""
    digits = mnist_usps_pixels().select(where={"domain": "mnist"})
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed))
    first, second = order[:ITEMS], order[ITEMS:]
    target, truth = change(digits.features[second], digits.labels[second], seed)
    return Pair(digits.features[first], digits.labels[first], target[:ITEMS], truth[:ITEMS])


def _nothing(items: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    return items, labels


def _fewer(items: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Digits from 5 on a quarter as often."""
    kept = (labels < 5) | (torch.rand(len(labels), generator=torch.Generator().manual_seed(seed)) < 0.25)
    return items[kept], labels[kept]


def _blurred(items: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    blurred = avg_pool2d(items.view(-1, 1, 16, 16), 3, stride=1, padding=1).flatten(1)
    return blurred / blurred.norm(dim=1, keepdim=True), labels


def _renamed(items: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Digits 0 to 3 go by each other's names."""
    return items, torch.where(labels < 4, (labels + 1) % 4, labels)


def _digits(source: str, target: str, seed: int) -> Pair:
    return drawn_pair(pair_of_domains(mnist_usps_pixels(), source, target), ITEMS, seed)


def _office(source: str, target: str, scaled: bool, seed: int) -> Pair:
    return drawn_pair(pair_of_domains(office_caltech10(scaled), source, target), ITEMS, seed)


CASES: Mapping[str, tuple[Callable[[int], Pair], tuple[str, ...]]] = {
    "MNIST, halves": (partial(_mnist, _nothing), ()),
    "MNIST, half of the digits rare": (partial(_mnist, _fewer), ("label",)),
    "MNIST, blurred": (partial(_mnist, _blurred), ("covariate",)),
    "MNIST, four digits renamed": (partial(_mnist, _renamed), ("concept",)),
    "MNIST to USPS": (partial(_digits, "mnist", "usps"), (UNKNOWN,)),
    "Amazon to Caltech, as they are": (partial(_office, "amazon", "caltech", False), (UNKNOWN,)),
    "Amazon to Caltech, z-scored in each": (partial(_office, "amazon", "caltech", True), (UNKNOWN,)),
}
STUDY = Study(
    NAME,
    "What kind of shift",
    "Does the diagnosis name the right kind of shift, and nothing where there is none?",
    run,
    section,
)
