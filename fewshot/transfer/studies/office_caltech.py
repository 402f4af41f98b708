"""Office-Caltech10, SURF: ours against the published tables and against skada's own estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fewshot.embeddings import EmbeddingTable
from fewshot.transfer.domains import Adaptation, parse_adaptation
from fewshot.transfer.domains.alignment.skada_adapters import pooled, skada_module
from fewshot.transfer.domains.domain_data import office_caltech10
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.domain_pairs import Case, Pair, measure, pair_of_domains, table, verdict
from fewshot.transfer.studies.office_caltech_tables import NEAREST_NEIGHBOUR, PAIRS, SVM
from fewshot.transfer.studies.study import Study

NAME, CASE = "office_caltech", "all twelve pairs"
CLOSE = 2.0  # points, of a mean over the pairs
NEAREST, LINEAR, LOGISTIC = "source-only, 1-nn", "source-only, svm", "source-only, logistic"
METHODS = {
    NEAREST: "source-only",
    LINEAR: "source-only:classifier=svm",
    LOGISTIC: "source-only:classifier=logistic",
    "gfk": "gfk",
    "tca": "tca",
    "jda": "jda",
    "subspace-alignment": "subspace-alignment:components=30",
    "coral, svm": "coral:classifier=svm",
    "ot": "ot",
    "jdot": "jdot",
    "rulsif": "rulsif",
    "em": "em",
}
TABLES = {
    **{label: NEAREST_NEIGHBOUR[label] for label in ("gfk", "tca", "jda", "subspace-alignment")},
    NEAREST: NEAREST_NEIGHBOUR["source-only"],
    LINEAR: SVM["source-only"],
    "coral, svm": SVM["coral"],
}
OURS_AND_SKADA = {"subspace-alignment": "skada: SubspaceAlignment", "ot": "skada: OTMapping", "jdot": "skada: JDOT",
                  "tca": "skada: TCA"}  # fmt: skip


@dataclass(frozen=True)
class SkadaEstimator(Adaptation):
    """An estimator of skada called as its own documentation does, to compare ours with."""

    kind: str = "SubspaceAlignment"

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        items, hidden, domain = pooled(source, labels, target)
        with skada_module("this study") as skada:
            model = _estimator(skada, self.kind)
            model.fit(items, hidden, sample_domain=domain)
            return torch.from_numpy(model.predict(target.double().numpy(), sample_domain=domain[len(source) :])).long()


def run(store: TransferStore, progress: bool) -> None:
    """All items of both domains, a pair a draw."""
    methods: dict[str, Adaptation] = {label: parse_adaptation(text) for label, text in METHODS.items()}
    for label in OURS_AND_SKADA.values():
        methods[label] = SkadaEstimator(kind=label.removeprefix("skada: "))
    about = {"features": "SURF histograms, z-scored in each domain", "draws": list(PAIRS)}
    case = Case(CASE, lambda: _pairs(office_caltech10()), methods, about)
    measure(NAME, [case], store, progress)


def section(results: Sequence[TransferResult]) -> str:
    """The table over pairs, ours beside the published means, and ours beside skada's own."""
    if not results:
        return "Nothing is measured yet."
    known = {result.method: result for result in results}
    head = ("method", "ours, mean %", "published, mean %", "mean absolute difference a pair")
    lines = [*table(results, NEAREST), "", f"| {' | '.join(head)} |", "|---|---|---|---|"]
    reached: dict[bool, list[str]] = {True: [], False: []}
    for label, published in TABLES.items():
        if label in known:
            ours = [100 * value for value in known[label].draws]
            apart = sum(abs(a - b) for a, b in zip(ours, published, strict=True)) / len(ours)
            lines.append(f"| {label} | {_mean(ours):.1f} | {_mean(published):.1f} | {apart:.1f} |")
            reached[_mean(ours) >= _mean(published) - CLOSE].append(f"`{label}`")
    lines += ["", f"At most {CLOSE:g} points below the published mean: {', '.join(reached[True]) or 'none'}; "
              f"further below: {', '.join(reached[False]) or 'none'}."]  # fmt: skip
    lines += ["", f"Over the twelve pairs, {verdict(results, NEAREST)}."]
    for baseline in (LINEAR, LOGISTIC):
        lines += [
            "",
            f"Against {baseline}, which the published tables of 1-NN leave out: {verdict(results, baseline)}.",
        ]
    lines.append("")
    for ours_label, label in OURS_AND_SKADA.items():
        if {ours_label, label} <= known.keys():
            both = zip(known[ours_label].draws, known[label].draws, strict=True)
            same = sum(a == b for a, b in both)
            means = [100 * known[each].interval.mean for each in (ours_label, label)]
            lines.append(f"{ours_label} and {label}: {means[0]:.1f} and {means[1]:.1f} %, equal in {same} pairs.")
    return "\n".join(lines)


def _pairs(office: EmbeddingTable) -> list[Pair]:
    return [pair_of_domains(office, *pair.split()) for pair in PAIRS]


def _estimator(skada: Any, kind: str) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if kind == "JDOT":
        return skada.JDOTClassifier(LogisticRegression(C=0.1, max_iter=1000), n_iter_max=10)
    made = {
        "SubspaceAlignment": partial(skada.SubspaceAlignmentAdapter, n_components=30, random_state=0),
        "OTMapping": partial(skada.OTMappingAdapter, norm="max", max_iter=1_000_000),
        "TCA": partial(skada.TransferComponentAnalysisAdapter, kernel="linear", n_components=100, mu=1.0),
    }
    return skada.make_da_pipeline(made[kind](), KNeighborsClassifier(1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


STUDY = Study(
    NAME,
    "Adaptation, Office-Caltech10",
    "Do the classical methods reach their published accuracies, and beat a linear SVM that never saw the target?",
    run,
    section,
)
