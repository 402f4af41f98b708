"""Pictures that cannot be read: found by decoding them all, and left out when asked."""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fewshot.datasets.dataset import Dataset
from fewshot.errors import BrokenImages, FewshotWarning

Progress = Callable[[int], None]


def picture_sizes(
    dataset: Dataset, workers: int | None = None, progress: Progress | None = None
) -> list[tuple[int, int] | None]:
    """(width, height) of every picture, or None for one that cannot be decoded; `workers` threads decode them all.

    `progress(1)` is called after each, as `progress_bar` wants it.
    """

    def size(index: int) -> tuple[int, int] | None:
        try:
            return dataset.images[index].size
        except BrokenImages:
            return None

    sizes = []
    with ThreadPoolExecutor(workers) as pool:
        for found in pool.map(size, range(len(dataset))):
            sizes.append(found)
            if progress:
                progress(1)
    return sizes


def find_broken(dataset: Dataset, workers: int | None = None, progress: Progress | None = None) -> list[str]:
    """The ids of the pictures that cannot be decoded; every picture is decoded once."""
    sizes = picture_sizes(dataset, workers, progress)
    return [name for name, size in zip(dataset.ids, sizes, strict=True) if size is None]


def without_broken(dataset: Dataset) -> Dataset:
    """`dataset` without the pictures that cannot be decoded; a `FewshotWarning` names them."""
    broken = find_broken(dataset)
    if not broken:
        return dataset
    named = ", ".join(broken[:10]) + (f" and {len(broken) - 10} more" if len(broken) > 10 else "")
    warnings.warn(
        f"{dataset.name}: {len(broken)} images cannot be read and were left out: {named}", FewshotWarning, stacklevel=3
    )
    left_out = set(broken)
    return dataset.select(indices=[index for index, name in enumerate(dataset.ids) if name not in left_out])


def refuse_suspects(dataset: Dataset) -> None:
    """Raise `BrokenImages` naming empty files and files that are no pictures; the pixels are not decoded."""
    suspects = dataset.images.suspects()
    if suspects:
        raise BrokenImages(dataset.name, [dataset.ids[index] for index in suspects])
