"""Pictures that cannot be read: found by decoding them all, and left out when asked."""

import warnings
from concurrent.futures import ThreadPoolExecutor

from fewshot.datasets.dataset import Dataset
from fewshot.errors import BrokenImages, FewshotWarning


def find_broken(dataset: Dataset, workers: int | None = None) -> list[str]:
    """The ids of the pictures that cannot be decoded; every picture is decoded once, in `workers` threads."""

    def is_broken(index: int) -> bool:
        try:
            dataset.images[index]
        except BrokenImages:
            return True
        return False

    with ThreadPoolExecutor(workers) as pool:
        broken = list(pool.map(is_broken, range(len(dataset))))
    return [name for name, bad in zip(dataset.ids, broken, strict=True) if bad]


def without_broken(dataset: Dataset) -> Dataset:
    """`dataset` without the pictures that cannot be decoded; a `FewshotWarning` names them."""
    broken = set(find_broken(dataset))
    if not broken:
        return dataset
    named = ", ".join(sorted(broken)[:10]) + (f" and {len(broken) - 10} more" if len(broken) > 10 else "")
    warnings.warn(
        f"{dataset.name}: {len(broken)} images cannot be read and were left out: {named}", FewshotWarning, stacklevel=3
    )
    return dataset.select(indices=[index for index, name in enumerate(dataset.ids) if name not in broken])


def refuse_suspects(dataset: Dataset) -> None:
    """Raise `BrokenImages` naming empty files and files that are no pictures; the pixels are not decoded."""
    suspects = dataset.images.suspects()
    if suspects:
        raise BrokenImages(dataset.name, [dataset.ids[index] for index in suspects])
