"""The same question asked of the benchmark's own committed results: three backbones on three data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from time import perf_counter
from typing import Any

import fewshot
from fewshot.embeddings import embed
from fewshot.errors import UnreadableFile
from fewshot.files import read_json
from fewshot.transfer.result import TransferResult
from fewshot.transfer.sees import INDUCTIVE
from fewshot.transfer.studies.small_targets import small_target
from fewshot.transfer.transferability import SCORES, Source, rank_sources

CASE = "committed results"
STORE = Path("benchmarks/store")
PROTOCOLS = {
    "caltech101": "caltech101_all_5w5s15q_600e_seed0",
    "cifar-fs": "cifar-fs_test_5w5s15q_600e_seed0_base-train",
    "grocery": "grocery-store_all_5w5s15q_600e_seed0",
}
LEARNER = "logistic"
CLASSES, IMAGES = 10, 20


def committed_accuracy(protocol: str, store: Path = STORE) -> dict[str, float]:
    """What logistic regression reached over each backbone under `protocol`; empty where the store is not there."""
    found = {}
    for path in sorted(store.glob(f"*/*/{protocol}/{LEARNER}.json")):
        content = read_json(path)
        try:
            found[content["backbone"]["name"]] = float(content["evaluation"]["accuracy"])
        except (KeyError, TypeError) as error:
            raise UnreadableFile(f"{path} is no result of the benchmark: {error!r}; run the benchmark again") from error
    return found


def no_order_is_zero(correlations: list[float]) -> list[float]:
    """A score that is the same for every source has no order, so no correlation (NaN): it knows nothing, which is 0."""
    return [0.0 if isnan(value) else value for value in correlations]


def agreement_result(
    study: str,
    case: str,
    score: str,
    draws: Sequence[Mapping[str, float]],
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    seconds: float,
    more: Mapping[str, Any] | None = None,
) -> TransferResult:
    """How well a score orders sources: weighted tau of each draw, and Spearman's rho in `more`.

    draws: what `Ranking.against` gives of the score, a draw each.
    """
    return TransferResult(
        study,
        case,
        score,
        INDUCTIVE,
        no_order_is_zero([draw["weighted_tau"] for draw in draws]),
        metric="weighted tau",
        settings={**settings, "score": SCORES[score].facts()},
        data=dict(data),
        seconds=seconds,
        more={"spearman": no_order_is_zero([draw["spearman"] for draw in draws]), **(more or {})},
    )


def measure_committed(study: str, store: Path = STORE) -> list[TransferResult]:
    """Weighted tau of each score with the committed accuracies, a draw a data set; none where there are no results.

    The scores see 20 images a class of ten classes, at the size that the backbone was benchmarked at.
    """
    start = perf_counter()
    draws: dict[str, list[dict[str, float]]] = {}
    for target, protocol in PROTOCOLS.items():
        truth = committed_accuracy(protocol, store)
        if len(truth) < 3:
            continue
        dataset = small_target(target, CLASSES, IMAGES)
        sources = []
        for name in truth:
            backbone = fewshot.create_backbone(name, device="cpu", pretrained=not name.startswith("fewshot:conv4"))
            sources.append(Source(name, embed(backbone, dataset, progress=False).features.float()))
        for score, agreement in rank_sources(sources, dataset.labels).against(list(truth.values())).items():
            draws.setdefault(score, []).append(agreement)
    seconds = (perf_counter() - start) / max(1, len(draws))
    return [
        agreement_result(
            study,
            CASE,
            score,
            found,
            settings={"images": IMAGES, "learner": LEARNER},
            data={"targets": list(PROTOCOLS), "sources": 3},
            seconds=seconds,
        )
        for score, found in sorted(draws.items())
    ]


def told(results: list[TransferResult]) -> str:
    """Which scores put the committed backbones in their order on every data set."""
    if not results:
        return ""
    right = [result.method for result in results if min(result.draws) == 1]
    partly = {result.method: result.interval.mean for result in results if result.method not in right}
    others = "; ".join(f"{score} has a mean tau of {mean:+.2f}" for score, mean in partly.items())
    return (
        f"\n\nOn the benchmark's committed results (three backbones, {len(results[0].draws)} data sets, 5-way 5-shot "
        f"logistic regression) {', '.join(right) or 'no score'} give{'s' if len(right) < 2 else ''} the right order "
        f"each time{'; ' + others if others else ''}."
    )
