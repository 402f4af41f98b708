"""MNIST and USPS, both ways: does classical adaptation beat a classifier of the source?"""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.embeddings import EmbeddingTable
from fewshot.transfer.domains import parse_adaptation
from fewshot.transfer.domains.domain_data import mnist_usps_pixels
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.domain_pairs import (
    Case,
    Pair,
    by_case,
    drawn_pair,
    measure,
    pair_of_domains,
    table,
    verdict,
)
from fewshot.transfer.studies.study import Study

NAME = "digits"
DRAWS, ITEMS = 5, 600
NEAREST, LOGISTIC = "source-only, 1-nn", "source-only, logistic"
METHODS = {
    NEAREST: "source-only",
    LOGISTIC: "source-only:classifier=logistic",
    "subspace-alignment": "subspace-alignment",
    "tca": "tca:ridge=0.1",
    "jda": "jda:ridge=0.1",
    "gfk": "gfk",
    "coral": "coral",
    "coral, logistic": "coral:classifier=logistic",
    "ot": "ot",
    "ot, by class": "ot:kind=classes,entropy=0.3",  # at 0.1 the transport converges in no draw
    "jdot": "jdot",
    "kmm": "kmm",
    "kliep": "kliep",
    "rulsif": "rulsif",
    "discriminator": "discriminator",
    "bbse": "bbse",
    "em": "em",
}
WHOLE = ("subspace-alignment", "tca", "jda", "gfk", "coral", "ot", NEAREST)
# of all 2,000 and 1,800 items by 1-NN: Long et al. 2013, table 3, as the data's own description has them
PUBLISHED = {"mnist to usps": 65.94, "usps to mnist": 44.70}


def run(store: TransferStore, progress: bool) -> None:
    """Both ways: draws of the two domains, and once all items, the protocol of the published tables."""
    digits = mnist_usps_pixels()
    measure(NAME, [*_cases(digits)], store, progress)


def section(results: Sequence[TransferResult]) -> str:
    """A table for each way, and which methods are above the two baselines."""
    if not results:
        return "Nothing is measured yet."
    lines: list[str] = []
    for case, found in by_case(results).items():
        lines += [f"**{case}**", "", *table(found, NEAREST), ""]
        way = case.removesuffix(", all items")
        if case != way:
            ours = next((each.interval.mean for each in found if each.method == NEAREST), None)
            if ours is not None:
                lines += [f"Published for 1-NN: {PUBLISHED[way]:.2f} %; ours: {100 * ours:.2f} %.", ""]
            continue
        lines += [f"{case}: {verdict(found, NEAREST)}. Against a logistic classifier: {verdict(found, LOGISTIC)}.", ""]
    return "\n".join(lines).strip()


def _cases(digits: EmbeddingTable) -> Sequence[Case]:
    cases = []
    methods = {label: parse_adaptation(text) for label, text in METHODS.items()}
    for source, target in (("mnist", "usps"), ("usps", "mnist")):
        pair = pair_of_domains(digits, source, target)

        def draws(pair: Pair = pair) -> list[Pair]:
            return [drawn_pair(pair, ITEMS, seed) for seed in range(DRAWS)]

        def whole(pair: Pair = pair) -> list[Pair]:
            return [pair]

        about = {"source": source, "target": target, "features": "pixels at length 1"}
        cases.append(Case(f"{source} to {target}", draws, methods, {**about, "items": [ITEMS, ITEMS]}))
        some = {label: methods[label] for label in WHOLE}
        cases.append(
            Case(
                f"{source} to {target}, all items",
                whole,
                some,
                {**about, "items": [len(pair.source), len(pair.target)]},
            )
        )
    return cases


STUDY = Study(NAME, "Adaptation, digits", "Does adapting from MNIST to USPS and back beat not adapting?", run, section)
