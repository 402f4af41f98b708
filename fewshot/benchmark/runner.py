"""Run protocols × backbones × learners, keep every result, and leave out what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fewshot import __version__
from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.provenance import provenance
from fewshot.benchmark.result import Result, learner_label
from fewshot.benchmark.store import ResultStore
from fewshot.datasets import load_dataset
from fewshot.embeddings import EmbeddingTable, embed
from fewshot.errors import FewshotError, InvalidInput
from fewshot.files import cache_folder
from fewshot.fingerprint import fingerprint
from fewshot.learners import BaseStatistics, describe_learner, evaluate
from fewshot.learners.trained import TrainedLearner
from fewshot.learners.training import Training, train_learner

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.episodes import Episodes
    from fewshot.learners import Learner

Mode = Literal["only-missing", "always", "never"]


@dataclass(frozen=True)
class Outcome:
    """What became of one combination: a `result`, kept before or made now, or the reason why there is none.

    `applicable` is false where the learner asks for base classes and the protocol has none.
    """

    protocol: Protocol
    backbone: str
    learner: str
    result: Result | None = None
    made_now: bool = False
    reason: str = ""
    applicable: bool = True


def run(
    protocols: Sequence[Protocol],
    backbones: Iterable[Backbone],
    learners: Sequence[Learner],
    store: ResultStore,
    mode: Mode = "only-missing",
    told: Callable[[Outcome], None] = lambda outcome: None,
    progress: bool = True,
) -> list[Outcome]:
    """Evaluate every learner on every backbone under every protocol.

    `only-missing` computes what `store` lacks, so a run that was stopped goes on; `always` computes anew; `never` only
    reads. A learner that has to be trained and was not is trained on the base classes first. `told` hears each outcome
    as it comes. What cannot be done (a class too small for the shots, a learner that needs base classes where there are
    none) is an outcome with a reason, and the rest goes on.
    """
    if mode not in ("only-missing", "always", "never"):
        raise InvalidInput(f"mode must be only-missing, always or never, found {mode!r}")
    outcomes = []
    for backbone in backbones:
        bench = _Bench(backbone, progress)
        for protocol in protocols:
            for learner in learners:
                outcome = _one(bench, protocol, learner, store, mode)
                told(outcome)
                outcomes.append(outcome)
    return outcomes


def _one(bench: _Bench, protocol: Protocol, learner: Learner, store: ResultStore, mode: Mode) -> Outcome:
    facts = _facts(learner)
    path = store.path(bench.facts, protocol, facts)
    outcome = Outcome(protocol, bench.backbone.name, learner_label(facts))
    if mode != "always" and path.exists():
        return replace(outcome, result=Result.load(path))
    if mode == "never":
        return replace(outcome, reason="not run yet")
    if _needs_base(learner) and protocol.base is None:
        reason = f"{learner.name} learns from base classes, and {protocol.dataset} has none beside {protocol.split}"
        return replace(outcome, reason=reason, applicable=False)
    try:
        result = bench.measure(protocol, learner, facts)
    except FewshotError as error:
        return replace(outcome, reason=str(error))
    store.save(result)
    return replace(outcome, result=result, made_now=True)


def _facts(learner: Learner) -> dict[str, Any]:
    """What the result says of the learner: weights by content, since a path means nothing elsewhere."""
    facts = describe_learner(learner)
    if isinstance(learner, TrainedLearner) and learner.weights:
        facts["settings"]["weights"] = fingerprint(Path(learner.weights).read_bytes())
    return facts


def _needs_base(learner: Learner) -> bool:
    return learner.needs_base or (isinstance(learner, TrainedLearner) and not learner.weights)


class _Bench:
    """One backbone with the tables, tasks and base statistics that its protocols share."""

    def __init__(self, backbone: Backbone, progress: bool) -> None:
        self.backbone, self.progress = backbone, progress
        self.facts = backbone.describe()
        self._tables: dict[tuple[str, str], EmbeddingTable] = {}
        self._bases: dict[tuple[str, str], BaseStatistics] = {}
        self._tasks: tuple[Protocol, Episodes] | None = None

    def measure(self, protocol: Protocol, learner: Learner, facts: dict[str, Any]) -> Result:
        """Evaluate `learner`, described by `facts`, and put the result together with all that made it."""
        table = self.table(protocol.dataset, protocol.split)
        if isinstance(learner, TrainedLearner) and not learner.weights:
            learner = self.trained(learner, protocol)
            facts = {**facts, "training": learner.facts()["training"]}
        base = None
        if _needs_base(learner) and protocol.base:
            base = self.base(protocol.dataset, protocol.base)
        episodes = self.tasks(protocol, table)
        found = evaluate(learner, table, episodes, base=base, device=self.backbone.device).to_json()
        del found["learner"]  # told once, and without the place of its weights, by `facts`
        return Result(
            protocol=protocol,
            dataset={
                "name": protocol.dataset,
                "split": protocol.split,
                "fingerprint": table.dataset,
                "classes": len(table.class_names),
                "items": len(table),
            },
            backbone=self.facts,
            learner=facts,
            episodes=episodes.fingerprint,
            evaluation=found,
            provenance=provenance(self.backbone.device),
        )

    def table(self, dataset: str, split: str) -> EmbeddingTable:
        key = dataset, split
        if key not in self._tables:
            images = load_dataset(dataset, split=split)
            self._tables[key] = embed(self.backbone, images, progress=self.progress).to(self.backbone.device)
        return self._tables[key]

    def base(self, dataset: str, split: str) -> BaseStatistics:
        key = dataset, split
        if key not in self._bases:
            self._bases[key] = BaseStatistics.from_table(self.table(*key))
        return self._bases[key]

    def trained(self, learner: TrainedLearner, protocol: Protocol) -> TrainedLearner:
        """The learner with weights trained on the base classes, for tasks of this shape; kept for next time."""
        table = self.table(protocol.dataset, str(protocol.base))
        training = Training(ways=5 if protocol.ways == "all" else protocol.ways, shots=protocol.shots)
        key = fingerprint(__version__, learner.facts(), table.backbone, table.dataset, asdict(training))
        weights = cache_folder() / "learners" / f"{learner.name}-{key}.safetensors"
        if not weights.exists():
            train_learner(learner, table, weights, training, progress=self.progress)
        return replace(learner, weights=str(weights))

    def tasks(self, protocol: Protocol, table: EmbeddingTable) -> Episodes:
        if self._tasks is None or self._tasks[0] != protocol:
            self._tasks = protocol, protocol.sampler(table).sample(protocol.episodes)
        return self._tasks[1]
