"""Train ProtoNet on Omniglot, drawing included: fewshot's trainer and learn2learn's loop, one network, one process.

Run with `uv run --group peers python benchmarks/protonet.py`; needs `FEWSHOT_DATA`. Ratios are times over fewshot's
with one task a step, as learn2learn's examples train. Its tasksets are timed twice: over prepared images in memory, and
over images that are decoded and prepared whenever they are drawn, as in `learn2learn.vision.benchmarks`. Both libraries
turn classes by quarters: for fewshot turned classes are classes of their own, learn2learn turns image by image. Drawing
and steps are also timed by themselves, and training in bfloat16.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any, Literal

import click
import torch
from timing import in_turn, keep, seconds_of, side_by_side
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

import fewshot
from fewshot.learners.meta import Tasks
from fewshot.learners.meta.metric import ProtoNet
from fewshot.learners.meta.training.image_bank import ImageBank
from fewshot.learners.meta.training.meta_model import build_model
from fewshot.learners.meta.training.meta_training import MetaTraining
from fewshot.learners.meta.training.task_sources import ImageTasks
from fewshot.learners.meta.training.trainer import meta_train

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import learn2learn
    from learn2learn.data.transforms import ConsecutiveLabels, FusedNWaysKShots, LoadData, RemapLabels
    from learn2learn.vision.transforms import RandomClassRotation

BACKBONE, SHOTS, QUERIES, RATE = "fewshot:conv4-omniglot", 1, 5, 1e-3
TOLERANCE = 1e-8
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Ours:
    """fewshot: its trainer, and drawing and step by themselves."""

    dataset: fewshot.Dataset
    bank: ImageBank
    ways: int
    device: torch.device

    @cached_property
    def source(self) -> ImageTasks:
        return ImageTasks(self.bank, self.dataset, self.ways, SHOTS, QUERIES, seed=0, rotations=True)

    def train(self, tasks: int, a_step: int, precision: Literal["float32", "bfloat16"] = "float32") -> float:
        """Seconds of the trainer's steps for so many tasks, by its own log: without reading images and saving."""
        training = MetaTraining(
            ways=self.ways,
            shots=SHOTS,
            queries=QUERIES,
            tasks=a_step,
            steps=tasks // a_step,
            learning_rate=RATE,
            validate_every=tasks,
            rotations=True,
            precision=precision,
        )
        rows: list[dict[str, Any]] = []
        with TemporaryDirectory() as folder:
            quiet = {"device": self.device, "progress": False, "told": rows.append}
            meta_train(ProtoNet(), BACKBONE, self.dataset, folder, training, **quiet)
        return tasks / rows[0]["tasks_per_second"]

    def draw(self, tasks: int) -> None:
        for number in range(tasks):
            self.source.batch(number, 1)

    def stepper(self, dtype: torch.dtype = torch.float32) -> Callable[[Tasks], Tensor]:
        """One step on a task; gives its loss."""
        learner = ProtoNet()
        _, model = start(self.ways)
        optimiser = torch.optim.Adam(model.to(self.device, dtype).train().parameters(), RATE)

        def step(tasks: Tasks) -> Tensor:
            optimiser.zero_grad()
            loss = learner.backward(model, tasks, 0.0).loss
            optimiser.step()
            return loss

        return step


@dataclass(frozen=True)
class Theirs:
    """learn2learn: a loop over a taskset, task by task, as in its ProtoNet example."""

    images: Dataset[Any]
    labels: Tensor
    ways: int
    device: torch.device

    @cached_property
    def taskset(self) -> Any:
        """As learn2learn's Omniglot benchmark makes it."""
        data = learn2learn.data.MetaDataset(self.images, indices_to_labels=dict(enumerate(self.labels.tolist())))
        transforms = [
            FusedNWaysKShots(data, n=self.ways, k=SHOTS + QUERIES),
            LoadData(data),
            RemapLabels(data),
            ConsecutiveLabels(data),
            RandomClassRotation(data, [0.0, 90.0, 180.0, 270.0]),
        ]
        return learn2learn.data.Taskset(data, transforms, num_tasks=-1)

    def train(self, tasks: int) -> float:
        step = self.stepper()

        def loop() -> None:
            for _ in range(tasks):
                step(self.taskset.sample()).item()

        return seconds_of(loop)

    def draw(self, tasks: int) -> None:
        for _ in range(tasks):
            self.taskset.sample()

    def stepper(self, dtype: torch.dtype = torch.float32) -> Callable[[Batch], Tensor]:
        """One step on a task; gives its loss."""
        backbone = start(self.ways)[1].backbone.to(self.device, dtype).train()
        optimiser = torch.optim.Adam(backbone.parameters(), RATE)

        def step(batch: Batch) -> Tensor:
            loss = prototypical_loss(backbone, *(part.to(self.device) for part in batch))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss.detach()

        return step


class DecodedWhenDrawn(Dataset[Any]):
    """Images that are decoded and prepared each time."""

    def __init__(self, dataset: fewshot.Dataset, prepare: Callable[[Any], Tensor]) -> None:
        self.dataset, self.prepare = dataset, prepare

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.dataset[index]
        return self.prepare(image), label


def start(ways: int) -> tuple[Any, nn.Module]:
    """Network and model, always with the same weights."""
    torch.manual_seed(0)
    return build_model(ProtoNet(), BACKBONE, ways, pretrained=False)


def prototypical_loss(backbone: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the queries of a task whose images come class by class, shots before queries."""
    order = labels.argsort(stable=True)
    features = backbone(images[order]).unflatten(0, (-1, SHOTS + QUERIES))
    prototypes, queries = features[:, :SHOTS].mean(1), features[:, SHOTS:].flatten(0, 1)
    distances = (queries[:, None] - prototypes).square().sum(2)
    return cross_entropy(-distances, labels[order].unflatten(0, (-1, SHOTS + QUERIES))[:, SHOTS:].flatten())


def same_task(tasks: Tasks) -> Batch:
    """Our one task as learn2learn hands it out: all images, class by class."""
    labels = torch.cat([tasks.support_labels[0], tasks.query_labels[0]])
    order = labels.argsort(stable=True)
    return torch.cat([tasks.support[0], tasks.query[0]])[order], labels[order]


def check(ours: Ours, theirs: Theirs) -> None:
    """Stop unless both have the same loss in float64 after three steps on the same tasks."""
    our_step, their_step = ours.stepper(torch.float64), theirs.stepper(torch.float64)
    for number in range(4):
        tasks = ours.source.batch(number, 1).to(dtype=torch.float64)
        one, other = float(our_step(tasks)), float(their_step(same_task(tasks)))
    if not abs(one - other) < TOLERANCE:
        raise click.ClickException(f"the losses differ after three steps: fewshot {one}, learn2learn {other}")


def cycled(step: Callable[[Any], Tensor], drawn: list[Any], tasks: int) -> Callable[[], None]:
    """So many steps on tasks that are drawn already."""

    def run() -> None:
        for number in range(tasks):
            loss = step(drawn[number % len(drawn)])
        loss.item()

    return run


def measure(ours: Ours, memory: Theirs, decoded: Theirs, tasks: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Training, and its two parts, for so many tasks."""
    check(ours, memory)
    drawn = [ours.source.batch(number, 1) for number in range(16)]
    named = {"learn2learn, images in memory": memory, "learn2learn, images decoded when drawn": decoded}
    training: dict[str, Callable[[], float]] = {
        "fewshot, 1 task a step": lambda: ours.train(tasks, 1),
        "fewshot, 4 tasks a step": lambda: ours.train(tasks, 4),
        "fewshot, 4 tasks a step, bf16": lambda: ours.train(tasks, 4, "bfloat16"),
    }
    training |= {name: lambda peer=peer: peer.train(tasks) for name, peer in named.items()}  # type: ignore[misc]
    drawing: dict[str, Callable[[], None]] = {"fewshot": lambda: ours.draw(tasks)}
    drawing |= {name: lambda peer=peer: peer.draw(tasks) for name, peer in named.items()}  # type: ignore[misc]
    steps = {
        "fewshot": cycled(ours.stepper(), drawn, tasks),
        "learn2learn": cycled(memory.stepper(), [same_task(each) for each in drawn], tasks),
    }
    return {
        "training": in_turn(training, rounds),
        "drawing alone": side_by_side(drawing, rounds),
        "steps alone": side_by_side(steps, rounds),
    }


@click.command()
@click.option("--tasks", default=200, show_default=True, help="Tasks a round, a multiple of four.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--ways", multiple=True, type=int, default=(5, 20), show_default=True)
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
@click.option("--name", default="protonet", show_default=True, help="Name of the file in results/.")
def main(tasks: int, rounds: int, ways: tuple[int, ...], device: str, name: str) -> None:
    """Check that both learn the same, time them, and keep the result."""
    place, dataset = torch.device(device), fewshot.load_dataset("omniglot", split="train")
    prepare = start(5)[0].preprocess
    bank = ImageBank.load(dataset, prepare, place)
    images = bank.scale.to_floats(bank.pixels).cpu()
    measurements = {}
    for count_of_ways in ways:
        ours = Ours(dataset, bank, count_of_ways, place)
        memory = Theirs(TensorDataset(images, dataset.labels), dataset.labels, count_of_ways, place)
        decoded = replace(memory, images=DecodedWhenDrawn(dataset, prepare))
        for work, found in measure(ours, memory, decoded, tasks, rounds).items():
            for figures in found.values():
                figures["per_second"] = tasks / figures["median_s"]
            measurements[f"{count_of_ways}-way, {work}"] = found
    work = f"{tasks} tasks of {SHOTS} shot and {QUERIES} queries a class on Omniglot, {BACKBONE}, on {device}"
    keep(name, {"work": work, "peers": {"learn2learn": version("learn2learn")}, "measurements": measurements})


if __name__ == "__main__":
    main()
