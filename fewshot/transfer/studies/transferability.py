"""Scores without training: do they put sources in the order of what a linear probe reaches?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

import fewshot
from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import Episodes
from fewshot.learners import Head
from fewshot.metrics import accuracy_interval, paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.committed_truth import CASE, agreement_result, measure_committed, told
from fewshot.transfer.studies.small_targets import TARGETS, depth_tables, pixel_table, small_target
from fewshot.transfer.studies.study import Study
from fewshot.transfer.transferability import SCORES, Source, rank_sources

NAME = "transferability"
DRAWS, CLASSES, IMAGES = 5, 10, 40
SHOTS = {"omniglot": 10}  # of 20 drawings a character; 20 elsewhere
QUERIES = 10
SOURCE_CLASSES, SOURCE_IMAGES = 32, 12  # of the task whose heads LEEP and NCE listen to
LAST_SCORE = "transrate-scaled"  # in the order of their names


def run(store: TransferStore, progress: bool) -> None:
    """Depths of a pretrained and a random network, two image sizes, and pixels, on five targets."""
    if not store.has(NAME, CASE, LAST_SCORE):
        for result in measure_committed(NAME):
            store.save(result)
    left = [target for target in TARGETS if not store.has(NAME, target, LAST_SCORE)]
    if not left:
        return
    with progress_bar("transferability", len(left) + 1, show=progress) as advance:
        task = small_target("cifar-fs train", SOURCE_CLASSES, SOURCE_IMAGES)
        heads = {name: _source_head(table) for name, table in _tables(task).items()}
        advance(1, "source heads")
        for target in left:
            for result in _measure(target, heads):
                store.save(result)
            advance(1, target)


def _tables(dataset: fewshot.Dataset) -> dict[str, EmbeddingTable]:
    """The candidate sources."""
    small = {f"{depth}, 32 pixels": table for depth, table in depth_tables(dataset, 32).items()}
    random = {f"random {depth}": table for depth, table in depth_tables(dataset, 64, pretrained=False).items()}
    chosen = {name: small[name] for name in ("stage 4, 32 pixels", "last, 32 pixels")}
    chosen |= {name: random[name] for name in ("random stage 2", "random stage 4", "random last")}
    return {**depth_tables(dataset), **chosen, "pixels": pixel_table(dataset)}


def _source_head(table: EmbeddingTable) -> Head:
    """A logistic head for the classes of CIFAR-FS's training split."""
    learner = fewshot.create_learner("logistic", C=10.0)
    return learner.fit(table.features.float()[None], table.labels[None], len(table.class_names))


def _measure(target: str, heads: dict[str, Head]) -> list[TransferResult]:
    start = perf_counter()
    dataset = small_target(target, CLASSES, IMAGES)
    tables = _tables(dataset)
    shots = SHOTS.get(target, 20)
    episodes = fewshot.EpisodeSampler(dataset.labels, ways="all", shots=shots, queries=QUERIES).sample(DRAWS)
    truth = {name: _probe(table, episodes) for name, table in tables.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SCORES}
    values: dict[str, dict[str, float]] = {}
    for place, episode in enumerate(episodes):
        ranking = _ranked(tables, heads, episode)
        for score, agreement in ranking.against([float(truth[name][place]) for name in tables]).items():
            found[score].append(agreement)
        if place == 0:
            values = {name: dict(zip(tables, row, strict=True)) for name, row in ranking.values.items()}
    seconds = (perf_counter() - start) / len(found)
    made_of = {"dataset": dataset.fingerprint, "backbones": {name: table.backbone for name, table in tables.items()}}
    reached = {name: float(values.mean()) for name, values in truth.items()}
    return [
        agreement_result(
            NAME,
            target,
            score,
            draws,
            settings={"shots": shots, "queries": QUERIES},
            data={"target": target, "classes": CLASSES, "sources": len(reached), **made_of},
            seconds=seconds,
            more={"truth": reached, "first draw": values[score]},
        )
        for score, draws in sorted(found.items())
        if draws
    ]


def _probe(table: EmbeddingTable, episodes: Episodes) -> Tensor:
    """The accuracy (draws,) of a linear probe, on z-scored features so that each source is at its best."""
    features = table.features.float()
    scored = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    probe = fewshot.create_learner("logistic", C=10.0)
    return fewshot.evaluate(probe, replace(table, features=scored), episodes, top_k=()).per_episode


def _ranked(tables: dict[str, EmbeddingTable], heads: dict[str, Head], episode: Episodes) -> Any:
    """Every source scored on the support of one draw; no score sees a query."""
    items = episode.support[0]
    sources = []
    for name, table in tables.items():
        features = table.features.float()[items]
        said = heads[name](features[None])[0].double().softmax(1)
        sources.append(Source(name, features, said))
    return rank_sources(sources, episode.support_labels[0])


def section(results: Sequence[TransferResult]) -> str:
    """Kendall's weighted tau and Spearman's rho of each score with the truth by target, and which score leads."""
    committed = [result for result in results if result.case == CASE]
    results = [result for result in results if result.case != CASE]
    if not results:
        return "Nothing was measured yet."
    targets = sorted({result.case for result in results})
    scores = sorted({result.method for result in results})
    cells = {(result.case, result.method): result for result in results}
    pooled: dict[str, list[float]] = {}
    rows = []
    for score in scores:
        row = [cells.get((target, score)) for target in targets]
        pooled[score] = [value for result in row if result for value in result.draws]
        rho = [value for result in row if result for value in result.more["spearman"]]
        cell = [f"{result.interval.mean:+.2f} ± {result.interval.half_width:.2f}" if result else "" for result in row]
        mean, rank = (sum(values) / len(values) for values in (pooled[score], rho))
        sees = SCORES[score].looks_at if score in SCORES else "features"
        rows.append((mean, f"| {score} | {sees}, labels | {' | '.join(cell)} | {mean:+.2f} | {rank:+.2f} |"))
    rows.sort(key=lambda row: -row[0])
    head = f"| score | looks at | {' | '.join(targets)} | mean tau | mean rho |"
    lines = [head, "|---" * (len(targets) + 4) + "|", *(row for _, row in rows)]
    sources = results[0].data["sources"]
    return (
        f"Weighted tau ± ci95 over {DRAWS} draws with the accuracy of a linear probe on other images, over {sources} "
        f"sources: depths of a pretrained and a random network at two image sizes, and pixels.\n\n"
        + "\n".join(lines)
        + f"\n\n{_answer(pooled)}{told(committed)}"
    )


def _answer(pooled: dict[str, list[float]]) -> str:
    whole = max(map(len, pooled.values()))
    full = {score: torch.tensor(values) for score, values in pooled.items() if len(values) == whole}
    best = max(full, key=lambda score: float(full[score].mean()))
    if whole < 2:
        return f"**Answer.** {best} leads; one draw tells no more."
    useful = [score for score, values in full.items() if _above_zero(values)]
    behind = [score for score, values in full.items() if score != best and paired_test(full[best], values).significant]
    close = sorted(score for score in full if score not in behind and score != best)
    found = accuracy_interval(full[best])
    return (
        f"**Answer.** {len(useful)} of {len(full)} scores order the sources better than chance over all targets and "
        f"draws; {best} does best, {found.mean:.2f} ± {found.half_width:.2f}"
        + (f", not beyond doubt before {', '.join(close)}" if close else ", beyond doubt before all others")
        + ". Worst is "
        + min(full, key=lambda score: float(full[score].mean()))
        + f", {min(float(values.mean()) for values in full.values()):+.2f}."
    )


def _above_zero(values: Tensor) -> bool:
    found = accuracy_interval(values)
    return found.mean - found.half_width > 0


STUDY = Study(
    NAME,
    "Transferability without training",
    "Can a score of features and labels rank sources as a linear probe would?",
    run,
    section,
)
