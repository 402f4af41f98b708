"""`train_learner`: weights for a learner, from episodes of base classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from fewshot.episodes import Episodes, EpisodeSampler
from fewshot.episodes.checks import positive, whole_number
from fewshot.errors import InvalidInput
from fewshot.learners.adam import Adam
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork, TrainedLearner, save_network
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable

Batch = tuple[Support, Tensor, Tensor]
AnyTrained = TypeVar("AnyTrained", bound=TrainedLearner)


@dataclass(frozen=True)
class Training:
    """How a learner is trained on episodes.

    Each of `steps` steps of Adam, whose rate falls from `learning_rate` to zero along a cosine, takes a new batch of
    `tasks` tasks of `ways`, `shots` and `queries`. A share `validation_classes` of the classes, at least `ways`, is not
    trained on: every `validate_every` steps the network is scored on `validation_tasks` tasks drawn from them, and the
    weights that score best are kept, those before training among them. Raises `InvalidInput` for what is no number of
    the kind.
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    steps: int = 500
    tasks: int = 16
    learning_rate: float = 5e-4
    validation_classes: float = 0.2
    validation_tasks: int = 200
    validate_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        whole_number("ways", self.ways, 2)
        for name in ("shots", "queries", "steps", "tasks", "validation_tasks", "validate_every"):
            whole_number(name, getattr(self, name), 1)
        for name in ("learning_rate", "validation_classes"):
            positive(name, getattr(self, name))

    def held_out(self, classes: int) -> int:
        """How many of so many classes validate."""
        return max(self.ways, round(self.validation_classes * classes))


USUAL = Training()


def train_learner(
    learner: AnyTrained, table: EmbeddingTable, out: str | Path, training: Training = USUAL, progress: bool = True
) -> AnyTrained:
    """Train the network of `learner` on base classes, write its weights to `out`, and return the learner that has them.

    table: features of classes that no task of an evaluation is drawn from; the training runs on their device. Weights
    that the learner has already are not used. The same arguments give the same weights on the same machine. Raises
    `InvalidInput` for a learner that has nothing to train and for too few classes, and `SamplingError` for classes too
    small.
    """
    _check(learner, table, training)
    base, held_out = _split(table, training.held_out(len(table.class_names)), training.seed)
    draw, trial = _sampler(base, training), _sampler(held_out, training).sample(training.validation_tasks)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = learner.network(table.dim).to(table.features.device)
    size = training.tasks
    best = _Best(network, [_batch(held_out, trial[first : first + size]) for first in range(0, len(trial), size)])
    weights = list(network.parameters())
    optimisers = [Adam(weight.detach(), training.learning_rate) for weight in weights]
    with torch.enable_grad(), progress_bar(f"training {learner.name}", training.steps, show=progress) as advance:
        for step in range(training.steps):
            loss = network.loss(*_batch(base, draw.sample(size, start=step * size)))
            for optimiser, gradient in zip(optimisers, torch.autograd.grad(loss, weights), strict=True):
                optimiser.rate = training.learning_rate * (1 + cos(pi * step / training.steps)) / 2
                optimiser.step(gradient)
            if (step + 1) % training.validate_every == 0 or step + 1 == training.steps:
                best.look(step + 1)
            advance(1)
    network.load_state_dict(best.weights)
    told = {**asdict(training), "table": table.fingerprint, **best.found}
    save_network(Path(out), network, learner, table.dim, table.backbone, told)
    return replace(learner, weights=str(out))


class _Best:
    """The weights that have scored best on validation tasks so far; the earlier ones where two score the same."""

    def __init__(self, network: EpisodicNetwork, trial: list[Batch]) -> None:
        self.network, self.trial = network, trial
        self.found: dict[str, Any] = {"best_step": 0, "accuracy": -1.0}
        self.look(0)
        self.found["accuracy_before"] = self.found["accuracy"]

    def look(self, step: int) -> None:
        with torch.no_grad():
            right = [self.network.logits(support, query).argmax(2) == labels for support, query, labels in self.trial]
        accuracy = float(torch.cat(right).double().mean())
        if accuracy > self.found["accuracy"]:
            self.found |= {"best_step": step, "accuracy": accuracy}
            self.weights = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def _split(table: EmbeddingTable, held_out: int, seed: int) -> tuple[EmbeddingTable, EmbeddingTable]:
    """The table's classes parted at random: those to train on, and those held out."""
    order = torch.randperm(len(table.class_names), generator=torch.Generator().manual_seed(seed)).tolist()
    return table.select(classes=order[held_out:]), table.select(classes=order[:held_out])


def _sampler(table: EmbeddingTable, training: Training) -> EpisodeSampler:
    return EpisodeSampler(
        table.labels, training.ways, training.shots, training.queries, training.seed, class_names=table.class_names
    )


def _batch(table: EmbeddingTable, episodes: Episodes) -> Batch:
    """The support, the queries (T, Q, D) and their labels of tasks without padding."""
    episodes = episodes.to(table.features.device)
    features = table.features[episodes.support].float()
    present = episodes.classes >= 0
    support = Support(features, episodes.support_labels, present, features[:, :0], present[:, :0])
    return support, table.features[episodes.query].float(), episodes.query_labels


def _check(learner: TrainedLearner, table: EmbeddingTable, training: Training) -> None:
    if not isinstance(learner, TrainedLearner):
        raise InvalidInput(f"{learner.name} has nothing to train; learners with trained=True have")
    classes = len(table.class_names)
    held_out = training.held_out(classes)
    if classes - held_out < training.ways:
        raise InvalidInput(
            f"{table.name} has {classes} classes; {held_out} of them are held out for validation, and the rest are too "
            f"few for {training.ways} ways: train on more classes or with fewer ways"
        )
    if not table.features.isfinite().all():
        raise InvalidInput(f"the features of {table.name} hold NaN or infinite values")
