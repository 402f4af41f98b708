"""Label sets together against each alone, at equal size of the network, on the same draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import SamplingError
from fewshot.metrics import PairedTest, paired_test
from fewshot.transfer.multitask.balancing import create_balancing
from fewshot.transfer.multitask.label_sets import MISSING, LabelSets
from fewshot.transfer.multitask.training import Inputs, MakeTrunk, MultitaskTraining, Trained, train_multitask
from fewshot.transfer.result import TransferResult
from fewshot.transfer.sees import TARGET_ONLY, Sees

ALONE = "alone"
ALONE_SHARING = "alone, steps shared"


@dataclass(frozen=True, eq=False)
class Draw:
    """Items to train on and items to test on, item numbers, and the label sets as they are known in this draw."""

    labels: LabelSets
    train: Tensor
    test: Tensor


@dataclass(frozen=True)
class Comparison:
    """What is compared: trunk, inputs, draws and training, the same for all methods.

    A method is the name of a balancing, which trains one network on all label sets; `ALONE`, which trains a network of
    the same size on each, with as many steps each; or `ALONE_SHARING`, whose networks share these steps, so that the
    whole takes no longer than one that learns all. sees and data are what the results tell of the case.
    """

    study: str
    case: str
    make_trunk: MakeTrunk
    inputs: Inputs
    draws: Sequence[Draw]
    training: MultitaskTraining
    sees: Sees = TARGET_ONLY
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the label sets, in the order of their columns."""
        return self.draws[0].labels.names

    def case_of(self, name: str) -> str:
        """The case of the results that tell of one label set."""
        return f"{self.case}: {name}"

    def steps(self, method: str) -> int:
        """Steps of all trainings of a method."""
        tasks = len(self.names)
        return len(self.draws) * self.training.steps * (tasks if method == ALONE else 1)

    def measure(self, method: str, advance: Callable[[int], None] = lambda count: None) -> list[TransferResult]:
        """A result for each label set: the accuracy on the test items of each draw.

        The seed of a training is that of `training` plus the number of the draw. With `equal` the task affinities are
        in `more`, as {other label set: one affinity of it to this one a draw}.
        """
        found = [self._one_draw(method, number, draw, advance) for number, draw in enumerate(self.draws)]
        seconds = sum(trained.seconds for trainings, _ in found for trained in trainings)
        return [
            TransferResult(
                self.study,
                self.case_of(name),
                method,
                self.sees,
                [accuracies[task] for _, accuracies in found],
                settings=self._settings(method),
                data=self.data,
                seed=self.training.seed,
                seconds=round(seconds, 2),
                more=_affinities(self.names, task, [trainings[0] for trainings, _ in found]),
            )
            for task, name in enumerate(self.names)
        ]

    def _one_draw(
        self, method: str, number: int, draw: Draw, advance: Callable[[int], None]
    ) -> tuple[list[Trained], list[float]]:
        training = replace(self.training, seed=self.training.seed + number)
        if method in (ALONE, ALONE_SHARING):
            steps = training.steps // (len(self.names) if method == ALONE_SHARING else 1)
            training, sets = replace(training, steps=max(1, steps)), [draw.labels.only(name) for name in self.names]
            balancing = None
        else:
            sets, balancing = [draw.labels], create_balancing(method)
        if method != "equal":
            training = replace(training, affinity_every=0)
        trainings, accuracies = [], []
        for labels in sets:
            items = draw.train[(labels.codes[draw.train] != MISSING).any(1)]
            trained = train_multitask(self.make_trunk, self.inputs, labels, items, balancing, training, advance)
            trainings.append(trained)
            accuracies += trained.accuracies(self.inputs, labels, draw.test)
        return trainings, accuracies

    def _settings(self, method: str) -> dict[str, Any]:
        own = {} if method in (ALONE, ALONE_SHARING) else asdict(create_balancing(method))
        return {"training": asdict(self.training), **own}


@dataclass(frozen=True)
class Verdict:
    """A method against label sets alone in one case: both results, and the paired difference, method - alone."""

    case: str
    together: TransferResult
    alone: TransferResult
    test: PairedTest


def verdicts(results: Sequence[TransferResult], against: str = ALONE) -> Iterator[Verdict]:
    """Every result of another method than `against` beside the one of `against` in its case, in the order given."""
    alone = {result.case: result for result in results if result.method == against}
    for result in results:
        if result.method != against and result.case in alone:
            single = alone[result.case]
            test = paired_test(torch.tensor(list(result.draws)), torch.tensor(list(single.draws)))
            yield Verdict(result.case, result, single, test)


def draw_split(codes: Tensor, train: int, test: int, seed: int) -> tuple[Tensor, Tensor]:
    """`train` and up to `test` items of each class, drawn without overlap.

    codes (N,), classes with -1 left out  ->  two rows of item numbers. Raises `SamplingError` for a class that has no
    item left to test on.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: list[tuple[Tensor, Tensor]] = []
    for code in codes[codes != MISSING].unique().tolist():
        items = (codes == code).nonzero().flatten()
        if len(items) <= train:
            raise SamplingError(
                f"class {code} has {len(items)} items; {train} to train on and one to test on are needed: ask for fewer"
            )
        items = items[torch.randperm(len(items), generator=generator)]
        parts.append((items[:train], items[train : train + test]))
    chosen, held = zip(*parts, strict=True)
    return torch.cat(chosen), torch.cat(held)


def _affinities(names: Sequence[str], task: int, trainings: Sequence[Trained]) -> dict[str, Any]:
    looked = [trained.affinity for trained in trainings if trained.affinity is not None]
    if not looked:
        return {}
    others = [other for other in range(len(names)) if other != task]
    return {"affinity": {names[other]: [float(matrix[other, task]) for matrix in looked] for other in others}}
