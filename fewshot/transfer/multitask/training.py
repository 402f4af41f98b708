"""`train_multitask`: one network on one or several label sets, in a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from time import perf_counter

import torch
from torch import Tensor, nn

from fewshot.backbones.building import seeded
from fewshot.episodes.checks import positive, whole_number
from fewshot.errors import Diverged, InvalidInput
from fewshot.transfer.multitask.affinity import lookahead_affinity
from fewshot.transfer.multitask.balancing import Balancing
from fewshot.transfer.multitask.equal import Equal
from fewshot.transfer.multitask.label_sets import LabelSets
from fewshot.transfer.multitask.network import MultitaskNetwork, task_accuracies, task_losses

Inputs = Callable[[Tensor], Tensor]  # item numbers (B,) to what the trunk takes (B, ...)
MakeTrunk = Callable[[], nn.Module]
EVALUATED_AT_ONCE = 256


@dataclass(frozen=True)
class MultitaskTraining:
    """How long and how fast: `steps` steps of Adam on `batch` items, the rate falling to zero along a cosine.

    affinity_every: steps between two looks at the task affinity, 0 for none; each costs about three steps a label set.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    affinity_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("affinity_every", 0), ("seed", 0)):
            whole_number(name, getattr(self, name), least)
        positive("learning_rate", self.learning_rate)
        if not 0 <= self.weight_decay < float("inf"):
            raise InvalidInput(f"weight_decay must be zero or more, found {self.weight_decay}")

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.learning_rate * (1 + cos(pi * step / self.steps)) / 2


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network; losses (steps, tasks), affinity (tasks, tasks) if it was looked at, seconds of training."""

    network: MultitaskNetwork
    losses: Tensor
    affinity: Tensor | None
    seconds: float

    @torch.no_grad()
    def accuracies(self, inputs: Inputs, labels: LabelSets, items: Tensor) -> list[float]:
        """The accuracy in each label set over `items`, those whose label is missing left out."""
        self.network.eval()
        parts = [self.network(inputs(part)) for part in items.split(EVALUATED_AT_ONCE)]
        logits = [torch.cat(scores) for scores in zip(*parts, strict=True)]
        return task_accuracies(logits, labels.codes[items])


def train_multitask(
    make_trunk: MakeTrunk,
    inputs: Inputs,
    labels: LabelSets,
    items: Tensor,
    balancing: Balancing | None = None,
    training: MultitaskTraining | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Trained:
    """Train a new trunk, with a head for each label set, on `items` (item numbers).

    make_trunk is called while torch draws from the seed of the training, so that equal seeds begin with equal trunks,
    whatever heads follow; batches too are the same. balancing: `Equal` by default. advance hears of every step.
    Raises `InvalidInput` if a label set has no label among the items, and `Diverged` for a loss that is not finite.
    """
    balancing, training = balancing or Equal(), training or MultitaskTraining()
    _check(labels, items)
    network = seeded(training.seed, lambda: _network(make_trunk, inputs(items[:1]), labels.sizes))
    balance = balancing.start(len(labels.names), training.seed)
    optimiser = torch.optim.Adam(network.parameters(), weight_decay=training.weight_decay)
    if balance.weights.requires_grad:
        optimiser.add_param_group({"params": [balance.weights], "weight_decay": 0.0})
    noted: list[Tensor] = []
    looks: list[Tensor] = []
    started = perf_counter()
    network.train()
    for step, rows in enumerate(_batches(items, training)):
        batch, wanted = inputs(rows), labels.codes[rows]
        for group in optimiser.param_groups:
            group["lr"] = training.rate(step)
        if training.affinity_every and step % training.affinity_every == 0:
            looks.append(lookahead_affinity(network, batch, wanted, training.rate(step)))
        optimiser.zero_grad(set_to_none=True)
        with torch.enable_grad():
            losses, present = task_losses(network(batch), wanted)
            if not losses.isfinite().all():
                raise Diverged(f"{balancing.name}: the loss is NaN or infinite at step {step + 1}; lower learning_rate")
            balancing.backward(losses, present, network, balance)
        optimiser.step()
        noted.append(losses.detach())
        advance(1)
    affinity = torch.stack(looks).nanmean(0) if looks else None
    return Trained(network.eval(), torch.stack(noted), affinity, perf_counter() - started)


def _network(make_trunk: MakeTrunk, example: Tensor, sizes: tuple[int, ...]) -> MultitaskNetwork:
    trunk = make_trunk()
    with torch.no_grad():
        features = trunk.eval()(example)
    return MultitaskNetwork(trunk, features.shape[1], sizes)


def _batches(items: Tensor, training: MultitaskTraining) -> list[Tensor]:
    """Item numbers of each step: the items in random order, again and again, without a rest at the end of a round."""
    generator = torch.Generator().manual_seed(training.seed)
    needed, order = training.steps * training.batch, list[Tensor]()
    while sum(map(len, order)) < needed:
        order.append(items[torch.randperm(len(items), generator=generator)])
    return list(torch.cat(order)[:needed].split(training.batch))


def _check(labels: LabelSets, items: Tensor) -> None:
    for name, column in zip(labels.names, labels.codes[items].unbind(1), strict=True):
        if (column < 0).all():
            raise InvalidInput(f"none of the {len(items)} items to train on has a label of {name}; label some")
