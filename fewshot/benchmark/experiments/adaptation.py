"""An experiment without training of the network: a learner with words on frozen features, averaged over data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean, harmonic_mean
from typing import Any, Literal

from fewshot.backbones import list_backbones
from fewshot.benchmark.experiments.measured import AdaptedOurs
from fewshot.benchmark.experiments.published import Paper, Published, check_results
from fewshot.benchmark.protocol import Half, Protocol
from fewshot.episodes.checks import whole_number
from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners import Learner, create_learner
from fewshot.learners.checks import no_transfer


@dataclass(frozen=True)
class Adapted(Published):
    """The accuracy that the paper has for `shots` images a class: on one data set, or (None) the mean over all.

    shots: 0 where the learner looks at no labelled image. half: "base" or "new", of a protocol with halves of the
    classes, or "harmonic", the harmonic mean of the two, each a mean over the data sets.
    """

    shots: int
    dataset: str | None = None
    half: Half | Literal["harmonic"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("shots", self.shots, 0)

    @property
    def parts(self) -> tuple[Adapted, ...]:
        """The evaluations that this one is a mean of: both halves, or itself."""
        if self.half != "harmonic":
            return (self,)
        return replace(self, half="base"), replace(self, half="new")


@dataclass(frozen=True)
class Adaptation:
    """A learner on a frozen backbone, by support draws that are all tested on the same images.

    method, settings: the learner and its settings; data: a protocol for each data set, whose shots are those of each
    evaluation. `id`, `paper`, `note`, `ours` and `finding` as in `Experiment`. Raises `InvalidInput` or `UnknownName`
    for names, settings or results that cannot be.
    """

    id: str
    paper: Paper
    method: str
    settings: Mapping[str, Any]
    backbone: str
    data: tuple[Protocol, ...]
    evaluations: tuple[Adapted, ...]
    note: str = ""
    ours: AdaptedOurs | None = None
    finding: str = ""

    def __post_init__(self) -> None:
        learner = self.learner()
        architecture = self.backbone.partition("/")[0]
        if architecture not in list_backbones(architecture):
            raise UnknownName("backbone", self.backbone, list_backbones())
        if not self.data or not self.evaluations:
            raise InvalidInput("an experiment needs a data set and an evaluation; found none")
        for protocol in self.data:
            if not protocol.pool or protocol.episodes < 2:
                raise InvalidInput(f"{protocol.dataset}: supports are drawn twice or more from a pool; name one")
        for evaluation in self.evaluations:
            if evaluation.half in ("new", "harmonic") and not learner.transfers:
                raise InvalidInput(no_transfer(self.method))
            if not evaluation.shots and learner.needs_support:
                raise InvalidInput(f"{self.method} needs images of the classes; shots must be 1 or more, found 0")
            for part in evaluation.parts:
                self.protocols(part)
        check_results(self.evaluations, self.ours.results if self.ours else None)

    def learner(self) -> Learner:
        """The learner with its settings; raises what `create_learner` raises."""
        return create_learner(self.method, **self.settings)

    def protocols(self, evaluation: Adapted) -> list[Protocol]:
        """What is to be run for one evaluation: a protocol for each data set that it is about."""
        asked = [each for each in self.data if evaluation.dataset in (None, each.dataset)]
        if not asked:
            raise UnknownName("data set of this experiment", str(evaluation.dataset), [p.dataset for p in self.data])
        assert evaluation.half != "harmonic", "that is asked of each of its parts"
        return [replace(protocol, shots=evaluation.shots, half=evaluation.half) for protocol in asked]

    def task(self, evaluation: Adapted) -> str:
        """In words: `16 shots, mean of 11 data sets`."""
        shots = {0: "no images", 1: "1 shot"}.get(evaluation.shots, f"{evaluation.shots} shots")
        half = {None: "", "harmonic": ", harmonic mean"}.get(evaluation.half, f", {evaluation.half} half")
        return f"{shots}, {evaluation.dataset or f'mean of {len(self.data)} data sets'}{half}"

    @property
    def sets(self) -> tuple[str, ...]:
        """Each data set in words: what is tested, what supports are drawn from, and the prompt."""
        return tuple(f"{each.dataset} ({each.split} from {each.pool}, words `{each.words}`)" for each in self.data)


def mean_of_halves(halves: list[list[float]]) -> list[float]:
    """The harmonic mean of each draw over the halves of the classes; of one, itself."""
    return [harmonic_mean(draw) for draw in zip(*halves, strict=True)]


def mean_over_sets(per_set: list[list[float]]) -> list[float]:
    """The mean over data sets of each draw, from the accuracies of the draws of each data set."""
    return [fmean(draw) for draw in zip(*per_set, strict=True)]
