"""Where training gets its batches from: tasks of episodes, or labelled batches, of one data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fewshot.episodes import Episodes, EpisodeSampler
from fewshot.episodes.randomness import Randomness
from fewshot.errors import FewshotError, InvalidInput, UnknownName
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.meta.training.augmentation import augment
from fewshot.learners.meta.training.image_bank import DecodedImages, ImageBank

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.learners.meta.training.meta_training import MetaTraining


_AHEAD = 256  # tasks drawn at a time: one by one each would take twenty times as long


class TaskSource(Protocol):
    """Batches by number: batch `start` on holds the tasks start, start + 1, ..., which depend on the seed alone."""

    def batch(self, start: int, count: int) -> Tasks:
        """The tasks number start, ..., start + count - 1."""


class ImageTasks:
    """Few-shot tasks of a data set whose images lie in a bank.

    rotations: every class four times, its images turned by 0, 1, 2 and 3 quarters (Santoro et al. 2016 for Omniglot).
    augmentation: steps of `augment`. within: a grouping of the data set; the classes of a task come from one group,
    turned by as much. Task t depends on the arguments and t alone.
    Raises what `EpisodeSampler` raises for classes that cannot give the task, and `UnknownName` for a grouping that the
    data set lacks.
    """

    def __init__(
        self,
        bank: ImageBank | DecodedImages,
        dataset: Dataset,
        ways: int,
        shots: int,
        queries: int,
        seed: int,
        rotations: bool = False,
        augmentation: tuple[str, ...] = (),
        within: str | None = None,
    ) -> None:
        self.bank, self.ways, self.seed, self.augmentation = bank, ways, seed, augmentation
        labels, names = turned_classes(dataset) if rotations else (dataset.labels, dataset.class_names)
        groups = _groups(dataset, within, rotations) if within else None
        self.sampler = EpisodeSampler(labels, ways, shots, queries, seed, groups=groups, class_names=names)
        self._first, self._drawn = 0, self.sampler.sample(1)

    def batch(self, start: int, count: int) -> Tasks:
        """The tasks number start, ..., start + count - 1, on the device of the bank."""
        if start < self._first or start + count > self._first + len(self._drawn):
            self._first, self._drawn = start, self.sampler.sample(max(count, _AHEAD), start)
        place = start - self._first
        return self.tasks(self._drawn[place : place + count], start)

    def tasks(self, episodes: Episodes, start: int) -> Tasks:
        """The images of episodes, the first of which is task number `start`."""
        shots = episodes.support.shape[1]
        pixels = self.bank.gather(torch.cat([episodes.support, episodes.query], 1))
        if self.augmentation:
            random = Randomness(self.seed, torch.arange(start, start + len(episodes)))
            pixels = augment(pixels, random, self.augmentation)
        images = self.bank.scale.to_floats(pixels)
        device = images.device
        return Tasks(
            images[:, :shots],
            episodes.support_labels.to(device),
            images[:, shots:],
            episodes.query_labels.to(device),
            self.ways,
        )


class LabelledBatches:
    """Batches of labelled images, for what trains on base classes without tasks: "task" t is image t of the stream.

    The stream goes through the data set in a new random order each time. A batch is one `Tasks` with an empty support
    and all images as queries, with the classes of the data set as ways.
    rotations: every class four times, as in `ImageTasks`; the stream then has each image in all four turns, and there
    are four times as many ways. Raises `InvalidInput` for a data set without images.
    """

    def __init__(
        self,
        bank: ImageBank | DecodedImages,
        dataset: Dataset,
        seed: int,
        augmentation: tuple[str, ...] = (),
        rotations: bool = False,
    ) -> None:
        if len(dataset) == 0:
            raise InvalidInput(f"{dataset.name} ({dataset.split}) has no images to train on")
        self.bank, self.seed, self.augmentation = bank, seed, augmentation
        self.labels, names = turned_classes(dataset) if rotations else (dataset.labels, dataset.class_names)
        self.ways = len(names)
        self._order: tuple[int, Tensor] | None = None

    def batch(self, start: int, count: int) -> Tasks:
        """The images number start, ..., start + count - 1 of the stream."""
        places = range(start, start + count)
        items = torch.stack([self._round(place // len(self.labels))[place % len(self.labels)] for place in places])
        pixels = self.bank.gather(items)
        if self.augmentation:
            pixels = augment(pixels[:, None], Randomness(self.seed, torch.tensor(places)), self.augmentation)[:, 0]
        images, labels = self.bank.scale.to_floats(pixels), self.labels[items].to(pixels.device)
        return Tasks(images[None, :0], labels[None, :0], images[None], labels[None], self.ways)

    def _round(self, number: int) -> Tensor:
        """The order of the images in round `number`."""
        if self._order is None or self._order[0] != number:
            draw = torch.Generator().manual_seed(self.seed + 1_000_003 * number)
            self._order = number, torch.randperm(len(self.labels), generator=draw)
        return self._order[1]


def training_source(
    bank: ImageBank | DecodedImages, dataset: Dataset, training: MetaTraining, episodic: bool
) -> ImageTasks | LabelledBatches:
    """What a training draws from, as its settings say: tasks, or labelled batches where it is not episodic."""
    seed, rotations, augmentation = training.seed, training.rotations, training.augmentation
    if not episodic:
        return LabelledBatches(bank, dataset, seed, augmentation, rotations)
    shape = training.ways, training.shots, training.queries
    return ImageTasks(bank, dataset, *shape, seed, rotations, augmentation, training.within)


def turned_classes(dataset: Dataset) -> tuple[Tensor, tuple[str, ...]]:
    """Labels (4 N,) and names (4 C) of a data set and its copies turned by one, two and three quarters."""
    count = len(dataset.class_names)
    labels = torch.cat([dataset.labels + quarter * count for quarter in range(4)])
    turns = ("", " turned 90°", " turned 180°", " turned 270°")
    return labels, tuple(name + turn for turn in turns for name in dataset.class_names)


def _groups(dataset: Dataset, within: str, rotations: bool) -> Tensor:
    """The group of each item, (N,) or (4 N,); each turn of a group is a group of its own."""
    if within not in dataset.groups:
        raise UnknownName("grouping", within, dataset.groups)
    group = dataset.groups[within]
    return torch.cat([group.codes + quarter * len(group.names) for quarter in range(4 if rotations else 1)])


class StepBatches:
    """The batches of a training by step, and of each step's `size` tasks the equal part of one of several processes."""

    def __init__(self, source: TaskSource, size: int, rank: int = 0, processes: int = 1) -> None:
        self.source, self.size, self.part = source, size, size // processes
        self.offset = rank * self.part

    def __getitem__(self, step: int) -> Tasks:
        return self.source.batch(step * self.size + self.offset, self.part)

    def stream(self, first: int, last: int, device: torch.device, workers: int = 0) -> Iterator[Tasks]:
        """Those of the steps first, ..., last - 1; with `workers` as many processes make them ahead."""
        if workers == 0:
            yield from (self[step] for step in range(first, last))
            return
        # whole batches are made in the workers, so nothing is collated here
        loader: DataLoader = DataLoader(
            _Told(self),  # type: ignore[arg-type]
            batch_size=None,
            sampler=range(first, last),
            num_workers=workers,
            prefetch_factor=4,
        )
        for tasks in loader:
            if isinstance(tasks, str):
                raise FewshotError(tasks)
            yield tasks.to(device)


class _Told:
    """Batches for worker processes, where what cannot be made is its reason: errors do not travel whole."""

    def __init__(self, batches: StepBatches) -> None:
        self.batches = batches

    def __getitem__(self, step: int) -> Tasks | str:
        try:
            return self.batches[step]
        except FewshotError as error:
            return str(error)
