"""An experiment: a paper's method, data, training and published numbers, and what came out here, in one JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fewshot.backbones import list_backbones
from fewshot.benchmark.experiments.measured import Ours
from fewshot.benchmark.experiments.published import Paper, Published, check_results
from fewshot.datasets import Dataset, describe_dataset, load_dataset
from fewshot.datasets.splits import split_parts
from fewshot.episodes.checks import whole_number
from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners.meta import MetaLearner, create_meta_learner
from fewshot.learners.meta.training.meta_training import MetaTraining


@dataclass(frozen=True)
class Part:
    """A split of a data set (or several, "train+val"), or those of its classes with items in the groups of `only`.

    Such a group may be an alphabet.
    """

    dataset: str
    split: str = "all"
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        splits = describe_dataset(self.dataset)["splits"]
        for part in split_parts(self.split) if self.split != "all" else ():
            if part not in splits:
                raise UnknownName(f"split of {self.dataset}", part, splits)

    def load(self) -> Dataset:
        """The images; raises what `load_dataset` raises."""
        dataset = load_dataset(self.dataset, self.split)
        if not self.only:
            return dataset
        labels = dataset.select(where=self.only).labels.unique()
        return dataset.select(classes=[dataset.class_names[label] for label in labels.tolist()])

    def __str__(self) -> str:
        only = "; ".join(f"only {group} {', '.join(names)}" for group, names in self.only.items())
        return f"{self.dataset} {self.split}" + (f" ({only})" if only else "")


@dataclass(frozen=True)
class Data:
    """What is trained on, validated on (None: nothing, the last model is taken) and tested on, without common classes.

    note: what is not as in the paper, such as a subset.
    """

    train: Part
    validation: Part | None
    test: Part
    note: str = ""


@dataclass(frozen=True)
class Evaluation(Published):
    """Tasks that the trained model is tested on, and the accuracy that the paper has for them.

    tasks: "drawn" from the test classes, `count` of them by `seed`, as `EpisodeSampler` does, or "one-shot-runs", the
    20 official ones of Omniglot. rotations, within: as in `MetaTraining`. settings: of the learner, where they differ
    from those in training.
    """

    ways: int
    shots: int
    queries: int
    tasks: Literal["drawn", "one-shot-runs"] = "drawn"
    count: int = 1000
    seed: int = 0
    rotations: bool = False
    within: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("ways", self.ways, 2)
        whole_number("count", self.count, 2)
        whole_number("seed", self.seed, 0)
        for name in ("shots", "queries"):
            whole_number(name, getattr(self, name), 1)
        if self.tasks not in ("drawn", "one-shot-runs"):
            raise InvalidInput(f"tasks must be 'drawn' or 'one-shot-runs', found {self.tasks!r}")
        if self.tasks == "one-shot-runs" and (self.ways, self.shots, self.queries, self.count) != (20, 1, 1, 20):
            raise InvalidInput("the one-shot runs are 20 tasks of 20 ways, 1 shot and 1 query a class")

    @property
    def task(self) -> str:
        """In words: `5-way 1-shot, 15 queries, with rotations`."""
        words = f"{self.ways}-way {self.shots}-shot, " + ("1 query" if self.queries == 1 else f"{self.queries} queries")
        words += ", the official runs" if self.tasks == "one-shot-runs" else ""
        words += ", with rotations" if self.rotations else ""
        words += f", within {self.within}" if self.within else ""
        return words + "".join(f", {name}={value}" for name, value in self.settings.items())


@dataclass(frozen=True)
class Experiment:
    """One training and its evaluations; `id` is `<method>/<paper>_<dataset>`, the place of its file.

    method, settings: the meta-learner and its settings; backbone, pretrained: the network and where it starts.
    note: how the paper did it where that differs. ours: what came out, None until it is recorded; finding: why a
    number falls short, found by experiment.
    Raises `InvalidInput` or `UnknownName` for names, settings or results that cannot be.
    """

    id: str
    paper: Paper
    method: str
    settings: Mapping[str, Any]
    backbone: str
    pretrained: bool
    data: Data
    training: MetaTraining
    evaluations: tuple[Evaluation, ...]
    note: str = ""
    ours: Ours | None = None
    finding: str = ""

    def __post_init__(self) -> None:
        for evaluation in self.evaluations:
            learner = self.learner(**evaluation.settings)
            if learner.fixed_ways and evaluation.ways != self.training.ways:
                raise InvalidInput(f"{self.method} is trained {self.training.ways}-way, not {evaluation.ways}-way")
        if self.backbone not in list_backbones(self.backbone):
            raise UnknownName("backbone", self.backbone, list_backbones())
        check_results(self.evaluations, self.ours.results if self.ours else None)

    def learner(self, **changed: Any) -> MetaLearner:
        """The meta-learner, with some settings changed."""
        return create_meta_learner(self.method, **{**self.settings, **changed})
