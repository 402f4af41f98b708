"""A health check of a data set: counts, sizes, broken pictures, and pictures that are there twice."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from fewshot.datasets.broken import Progress, picture_sizes
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.duplicates import duplicate_groups, pairs_across
from fewshot.datasets.splits import duplicates_across_splits

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DatasetCheck:
    """What `check_dataset` found. Pairs are ids of pictures that are equal byte for byte.

    `picture_sizes` counts the pictures of each "WIDTHxHEIGHT", most frequent first. A pair in different splits or
    parts leaks from one to the other; a pair in different classes has no right answer.
    """

    name: str
    split: str
    items: int
    classes: int
    smallest_class: int
    median_class: int
    largest_class: int
    picture_sizes: dict[str, int]
    broken: tuple[str, ...]
    duplicates: Pairs
    duplicates_across_classes: Pairs
    duplicates_across_splits: Pairs
    duplicates_across_parts: Pairs

    @property
    def sound(self) -> bool:
        """Whether every picture can be read, and none stands in two classes, splits or parts."""
        crossing = self.duplicates_across_classes + self.duplicates_across_splits + self.duplicates_across_parts
        return not self.broken and not crossing

    def to_json(self) -> dict[str, Any]:
        """The findings as JSON values."""
        return {**asdict(self), "sound": self.sound}


def check_dataset(dataset: Dataset, workers: int | None = None, progress: Progress | None = None) -> DatasetCheck:
    """Decode every picture in `workers` threads and compare their content; `progress(1)` after each."""
    sizes = picture_sizes(dataset, workers, progress)
    groups = [group for group in duplicate_groups(dataset.images) if sizes[group[0]] is not None]
    counts = dataset.class_counts
    part = dataset.groups.get("part")

    def named(pairs: list[tuple[int, int]]) -> Pairs:
        return tuple((dataset.ids[first], dataset.ids[other]) for first, other in pairs)

    return DatasetCheck(
        name=dataset.name,
        split=dataset.split,
        items=len(dataset),
        classes=len(dataset.class_names),
        smallest_class=int(counts.min()) if len(counts) else 0,
        median_class=int(counts.median()) if len(counts) else 0,
        largest_class=int(counts.max()) if len(counts) else 0,
        picture_sizes={f"{size[0]}x{size[1]}": count for size, count in Counter(filter(None, sizes)).most_common()},
        broken=tuple(name for name, size in zip(dataset.ids, sizes, strict=True) if size is None),
        duplicates=named([(group[0], other) for group in groups for other in group[1:]]),
        duplicates_across_classes=named(pairs_across(groups, dataset.labels.tolist())),
        duplicates_across_splits=tuple(duplicates_across_splits(dataset)),
        duplicates_across_parts=named(pairs_across(groups, part.codes.tolist())) if part else (),
    )
