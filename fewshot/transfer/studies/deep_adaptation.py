"""Deep adaptation of a small network between MNIST and USPS, from images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from fewshot.progress import progress_bar
from fewshot.transfer.domains import parse_adaptation
from fewshot.transfer.domains.deep.method import DeepAdaptation
from fewshot.transfer.domains.domain_data import digit_images
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.domain_pairs import Pair, by_case, drawn_pair, table, verdict
from fewshot.transfer.studies.study import Study

NAME = "deep_adaptation"
SEEDS, ITEMS = 5, 1000
BASELINE = "deep-source-only"
METHODS = (BASELINE, "dan", "jan", "deep-coral", "dann", "cdan", "mcd", "shot", "tent")


def run(store: TransferStore, progress: bool) -> None:
    """Both ways; each draw has items, first weights and batches of its own."""
    for source, target in (("mnist", "usps"), ("usps", "mnist")):
        case = f"{source} to {target}"
        missing = [name for name in METHODS if not store.has(NAME, case, name)]
        whole = Pair(*digit_images(source), *digit_images(target))
        with progress_bar(f"{NAME}: {case}", len(missing) * SEEDS, show=progress) as advance:
            for name in missing:
                start, draws, method = perf_counter(), [], parse_adaptation(name)
                assert isinstance(method, DeepAdaptation)
                for seed in range(SEEDS):
                    pair = drawn_pair(whole, ITEMS, seed)
                    draws.append(pair.accuracy(replace(method, seed=seed)))
                    advance(1, name)
                settings = method.facts()["settings"] | {"seed": list(range(SEEDS))}
                about = {"source": source, "target": target, "items": [ITEMS, ITEMS], "images": "16 x 16"}
                seconds = perf_counter() - start
                store.save(
                    TransferResult(NAME, case, name, method.sees, draws, "accuracy", settings, about, 0, seconds)
                )


def section(results: Sequence[TransferResult]) -> str:
    """A table for each way, and which methods are above the network that was not adapted."""
    if not results:
        return "Nothing is measured yet."
    lines: list[str] = []
    for case, found in by_case(results).items():
        lines += [f"**{case}**", "", *table(found, BASELINE), "", f"{case}: {verdict(found, BASELINE)}.", ""]
    return "\n".join(lines).strip()


STUDY = Study(
    NAME,
    "Deep adaptation",
    "Does a network that looks at the unlabelled target while it learns beat one that does not?",
    run,
    section,
)
