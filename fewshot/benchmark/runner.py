"""Run protocols × backbones × learners, keep every result, and leave out what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fewshot import __version__
from fewshot.benchmark.pools import pooled_table
from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.result import Result, learner_label
from fewshot.benchmark.store import ResultStore
from fewshot.datasets import Dataset, load_dataset
from fewshot.embeddings import EmbeddingTable, embed
from fewshot.errors import FewshotError, InvalidInput
from fewshot.files import cache_folder
from fewshot.fingerprint import fingerprint
from fewshot.learners import BaseStatistics, describe_learner, evaluate
from fewshot.learners.checks import no_transfer
from fewshot.learners.trained import TrainedLearner
from fewshot.learners.training import Training, train_learner
from fewshot.learners.words import Words
from fewshot.provenance import provenance

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.episodes import Episodes
    from fewshot.learners import Learner

DRAWS_BYTES = 512 << 20
Mode = Literal["only-missing", "always", "never"]


@dataclass(frozen=True)
class Outcome:
    """What became of one combination: a `result`, kept before or made now, or the reason why there is none.

    `applicable` is false where the learner asks for what the protocol does not have, such as base classes or words.
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
        kept = Result.load(path)
        if other := _difference(kept, protocol, learner, bench.facts):
            reason = f"{path} holds a result of another {other}; use another store, or mode always to replace it"
            return replace(outcome, reason=reason)
        return replace(outcome, result=kept)
    if mode == "never":
        return replace(outcome, reason="not run yet")
    if learner.needs_words and protocol.words is None:
        reason = f"{learner.name} classifies by words, and the protocol names no prompts for them"
        return replace(outcome, reason=reason, applicable=False)
    if protocol.tuning != "none" and not learner.grid:
        return replace(outcome, reason=f"{learner.name} has no settings to tune", applicable=False)
    if protocol.half == "new" and not learner.transfers:
        return replace(outcome, reason=no_transfer(learner.name), applicable=False)
    if not protocol.shots and learner.needs_support:
        return replace(outcome, reason=f"{learner.name} needs images of the classes", applicable=False)
    if _needs_base(learner) and protocol.base is None:
        reason = f"{learner.name} learns from base classes, and {protocol.dataset} has none beside {protocol.split}"
        return replace(outcome, reason=reason, applicable=False)
    try:
        result = bench.measure(protocol, learner, facts)
    except FewshotError as error:
        return replace(outcome, reason=str(error))
    store.save(result)
    return replace(outcome, result=result, made_now=True)


def _difference(kept: Result, protocol: Protocol, learner: Learner, backbone: Mapping[str, Any]) -> str:
    """What a result that is found where that of a combination belongs is of instead; nothing where it is the one."""
    if kept.protocol != protocol:
        return f"protocol ({kept.protocol.name})"
    text = kept.backbone.get("text")  # older results do not tell it
    if learner.needs_words and text and text != backbone.get("text"):
        return f"text tower ({text['name']}, {text['fingerprint']})"
    return ""


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
        self._tasks: tuple[Protocol, EmbeddingTable, Episodes] | None = None
        self._words: dict[tuple[str, str, str], Words] = {}

    def measure(self, protocol: Protocol, learner: Learner, facts: dict[str, Any]) -> Result:
        """Evaluate `learner`, described by `facts`, and put the result together with all that made it."""
        table, episodes = self.tasks(protocol)
        if isinstance(learner, TrainedLearner) and not learner.weights:
            learner = self.trained(learner, protocol)
            facts = {**facts, "training": learner.facts()["training"]}
        base = None
        if _needs_base(learner) and protocol.base:
            base = self.base(protocol.dataset, protocol.base)
        words = self.words(protocol, table) if learner.needs_words else None
        found = evaluate(
            learner,
            table,
            episodes,
            base=base,
            device=self.backbone.device,
            chunk=_draws_at_once(table, episodes) if protocol.pool else "auto",
            words=words,
            tuning=protocol.tuning,
        ).to_json()
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
            images = _dataset(dataset, split)
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

    def tasks(self, protocol: Protocol) -> tuple[EmbeddingTable, Episodes]:
        """The table that a protocol draws from, and what it draws."""
        if self._tasks is None or self._tasks[0] != protocol:
            if protocol.pool:
                table, pool = pooled_table(protocol.split, protocol.pool, partial(self.table, protocol.dataset))
                self._tasks = protocol, table, protocol.split_sampler(table, pool).sample(protocol.episodes)
            else:
                table = self.table(protocol.dataset, protocol.split)
                self._tasks = protocol, table, protocol.sampler(table).sample(protocol.episodes)
        return self._tasks[1:]

    def words(self, protocol: Protocol, table: EmbeddingTable) -> Words:
        """Text vectors of the classes of `table`, made of the prompts that the protocol names."""
        from fewshot.zeroshot.text_classifier import build_words

        key = protocol.dataset, protocol.split, str(protocol.words)
        if key not in self._words:
            templates, described = protocol.prompts
            descriptions = _dataset(protocol.dataset, protocol.split).class_descriptions if described else None
            if described and not descriptions:
                raise InvalidInput(f"{protocol.dataset} has no descriptions of its classes; leave out +descriptions")
            self._words[key] = build_words(
                self.backbone, table.class_names, templates, descriptions=descriptions, progress=self.progress
            )
        return self._words[key]


def _dataset(name: str, split: str) -> Dataset:
    """A split by name, or as `grouping=part` of the whole."""
    grouping, equals, part = split.partition("=")
    return load_dataset(name).select(where={grouping: part}) if equals else load_dataset(name, split=split)


def _draws_at_once(table: EmbeddingTable, episodes: Episodes) -> int:
    """Draws are few and large: as many at a time as fit, so that what trains does so for all of them together."""
    items = episodes.support.shape[1] + episodes.query.shape[1]
    return max(1, min(len(episodes), DRAWS_BYTES // (4 * items * table.dim)))
