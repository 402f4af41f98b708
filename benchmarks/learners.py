"""Score tasks with fewshot's learners and with easyfsl's methods: the same features, tasks and steps, one process.

Run with `uv run --group peers python benchmarks/learners.py`. Ratios are times over fewshot's. easyfsl goes from task
to task, so its slow methods are timed on the first tasks only, and both are given for 1,000. The floor of a method is
the time to gather its features once at the bandwidth measured here, plus its multiplications at the rate of a large
matrix product measured here; what each counts is in `WORK`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

import torch
from easyfsl.datasets import FeaturesDataset
from easyfsl.methods import (
    BDCSPN,
    PTMAP,
    TIM,
    FewShotClassifier,
    Finetune,
    LaplacianShot,
    MatchingNetworks,
    PrototypicalNetworks,
    SimpleShot,
    TransductiveFinetuning,
)
from easyfsl.utils import evaluate as easyfsl_evaluate
from episodes import by_class
from timing import keep
from torch import Tensor
from torch.utils.data import DataLoader

import fewshot
from fewshot.learners import BaseStatistics

TASKS, WAYS, QUERIES, DIM, CLASSES, PER_CLASS = 1000, 5, 15, 640, 64, 600
STEPS = {"tim-gd": 50, "finetune": 200, "transductive-finetune": 25, "pt-map": 20}
SETTINGS: dict[str, dict[str, int]] = {
    "tim-gd": {"steps": 50},
    "finetune": {"epochs": 200, "batch": 25},  # a step an epoch
    "transductive-finetune": {"epochs": 25},  # two steps an epoch, where easyfsl takes one
    "pt-map": {"steps": 20},
}


@dataclass(frozen=True)
class Pair:
    """A learner of ours and the method of easyfsl's that does the same; `timed` tasks are enough for the slow one.

    The features are those of `table_of_features` times `scale`.
    """

    ours: str
    theirs: Callable[[dict[str, Any]], FewShotClassifier]
    timed: int = TASKS
    rounds: int = 3
    scale: float = 1.0


PAIRS = [
    Pair("prototypical", lambda cl2n: PrototypicalNetworks(), rounds=7),
    Pair("simpleshot", lambda cl2n: SimpleShot(**cl2n), rounds=7),
    Pair("matching", lambda cl2n: MatchingNetworks(feature_dimension=DIM), timed=50),
    Pair("bd-cspn", lambda cl2n: BDCSPN(**cl2n), rounds=7),
    Pair("laplacianshot", lambda cl2n: LaplacianShot(**cl2n), rounds=5),
    Pair("finetune", lambda cl2n: Finetune(fine_tuning_steps=200), timed=50),
    Pair("transductive-finetune", lambda cl2n: TransductiveFinetuning(fine_tuning_steps=25), timed=200),
    Pair("tim-gd", lambda cl2n: TIM(fine_tuning_steps=50), timed=100),
    Pair("pt-map", lambda cl2n: PTMAP(fine_tuning_steps=20), timed=50),
    Pair("pt-map", lambda cl2n: PTMAP(fine_tuning_steps=20), timed=10, rounds=2, scale=1000.0),
]

# products of (items, dim) with (dim, columns): items a task, and how many columns in all
WORK: dict[str, Callable[[int], int]] = {
    "prototypical": lambda shots: WAYS * QUERIES * WAYS + WAYS * shots * WAYS,
    "simpleshot": lambda shots: WAYS * QUERIES * WAYS + WAYS * shots * WAYS,
    "matching": lambda shots: WAYS * QUERIES * WAYS * shots,
    "bd-cspn": lambda shots: WAYS * (QUERIES + shots) * WAYS * 3,
    "laplacianshot": lambda shots: (WAYS * QUERIES) ** 2 + WAYS * (QUERIES + shots) * WAYS * 3,
    "finetune": lambda shots: STEPS["finetune"] * 2 * WAYS * shots * WAYS + WAYS * QUERIES * WAYS,
    "transductive-finetune": lambda shots: STEPS["transductive-finetune"] * 2 * WAYS * (QUERIES + shots) * WAYS,
    "tim-gd": lambda shots: STEPS["tim-gd"] * 2 * WAYS * (QUERIES + shots) * WAYS,
    "pt-map": lambda shots: (WAYS * (QUERIES + shots)) ** 2,
}


def table_of_features() -> tuple[fewshot.EmbeddingTable, Tensor]:
    """Clustered features of the size of a miniImageNet training set, and their mean.

    Each is the square of a vector of length 1, so that easyfsl's power transform leads to vectors of length 1: on
    longer ones its PT-MAP underflows to NaN and runs all Sinkhorn iterations in vain.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
    centres = torch.rand(CLASSES, DIM, generator=generator)
    features = (centres[labels] + 0.8 * torch.randn(len(labels), DIM, generator=generator)).clamp(min=0)
    features = (features / features.norm(dim=1, keepdim=True)).square()
    names = tuple(f"class {number}" for number in range(CLASSES))
    return fewshot.EmbeddingTable(features, labels, names, tuple(map(str, range(len(labels))))), features.mean(0)


def seconds(work: Callable[[], Any], rounds: int) -> list[float]:
    """What each of `rounds` runs of `work` takes."""
    found = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        found.append(perf_counter() - start)
    return found


def machine_rates(features: Tensor) -> dict[str, float]:
    """Bytes a second when random rows are gathered, and multiplications a second in a large matrix product."""
    rows = torch.randint(len(features), (8192,))
    room = torch.empty(8192, DIM)
    gather = min(seconds(lambda: torch.index_select(features, 0, rows, out=room), 20))
    left = torch.rand(2048, 2048)
    product = min(seconds(lambda: left @ left, 10))
    return {"gathered_bytes_per_s": rows.numel() * DIM * 4 / gather, "products_per_s": 2048**3 / product}


def floor(learner: str, shots: int, rates: dict[str, float]) -> float:
    """Seconds for 1,000 tasks below which this machine cannot go."""
    gathered = TASKS * WAYS * (shots + QUERIES) * DIM * 4 / rates["gathered_bytes_per_s"]
    return gathered + TASKS * WORK[learner](shots) * DIM / rates["products_per_s"]


def figures(times: list[float], scale: float, ratios: list[float]) -> dict[str, float]:
    """Seconds for 1,000 tasks: median, least and most, and the median ratio."""
    scaled = [time * scale for time in times]
    return {"median_s": median(scaled), "min_s": min(scaled), "max_s": max(scaled), "ratio": median(ratios)}


def compare(pair: Pair, shots: int, table: fewshot.EmbeddingTable, mean: Tensor) -> dict[str, dict[str, float]]:
    """Both on the same tasks, in turn."""
    table = replace(table, features=table.features * pair.scale)
    episodes = fewshot.EpisodeSampler(table.labels, ways=WAYS, shots=shots, queries=QUERIES).sample(TASKS)
    learner, base = fewshot.create_learner(pair.ours, **SETTINGS.get(pair.ours, {})), BaseStatistics(mean)
    dataset = FeaturesDataset(table.labels.tolist(), table.features, list(table.class_names))
    tasks = by_class(episodes[: pair.timed])
    loader = DataLoader(dataset, batch_sampler=tasks, collate_fn=collate(shots))
    method = pair.theirs({"feature_centering": mean, "feature_normalization": 2.0})
    fewshot.evaluate(learner, table, episodes[:50], base)
    ours, theirs, accuracies = [], [], []
    with torch.no_grad():
        for _ in range(pair.rounds):
            start = perf_counter()
            found = fewshot.evaluate(learner, table, episodes, base)
            ours.append(perf_counter() - start)
            start = perf_counter()
            accuracy = easyfsl_evaluate(method, loader, device="cpu", use_tqdm=False)
            theirs.append(perf_counter() - start)
            accuracies = [found.accuracy, accuracy]
    scale = TASKS / pair.timed
    ratios = [scale * their / our for their, our in zip(theirs, ours, strict=True)]
    return {
        "fewshot": figures(ours, 1, [1.0]) | {"accuracy": accuracies[0]},
        "easyfsl": figures(theirs, scale, ratios) | {"accuracy": accuracies[1], "tasks_timed": pair.timed},
    }


def collate(shots: int) -> Callable[[list[tuple[Tensor, int]]], tuple[Tensor, ...]]:
    """The collate function of easyfsl function, for tasks drawn elsewhere."""
    from easyfsl.samplers import TaskSampler
    from torch.utils.data import Sampler

    Sampler.__init__ = lambda self, *given, **named: None  # type: ignore[method-assign]
    labels = [number for number in range(WAYS) for _ in range(shots + QUERIES)]
    dataset = FeaturesDataset(labels, torch.zeros(len(labels), 1), [str(number) for number in range(WAYS)])
    return TaskSampler(dataset, WAYS, shots, QUERIES, 1).episodic_collate_fn


def main() -> None:
    warnings.filterwarnings("ignore", category=fewshot.errors.FewshotWarning)
    table, mean = table_of_features()
    rates = machine_rates(table.features)
    measurements = {}
    for shots in (1, 5):
        for pair in PAIRS:
            found = compare(pair, shots, table, mean)
            found["fewshot"]["floor_s"] = floor(pair.ours, shots, rates)
            work = f"{pair.ours}, {shots}-shot"
            work += f", {STEPS[pair.ours]} steps" if pair.ours in STEPS else ""
            work += f", features × {pair.scale:g}" if pair.scale != 1 else ""
            measurements[work] = found
            print(f"{work}: {found['easyfsl']['ratio']:.1f} ×", flush=True)
    work = f"{TASKS:,} {WAYS}-way tasks, {QUERIES} queries a class, {DIM} dimensions, {CLASSES} classes"
    keep("learners", {"work": work, "rates": rates, "measurements": measurements})


if __name__ == "__main__":
    main()
