"""Class splits: proved to be disjoint, known and complete, and searched for pictures that stand in two of them."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from fewshot.datasets.dataset import Dataset
from fewshot.datasets.duplicates import duplicate_groups, pairs_across
from fewshot.errors import FewshotWarning, SplitError
from fewshot.files import read_json


def split_list(name: str) -> Any:
    """The published class lists kept as `split_lists/<name>.json`."""
    return read_json(str(files("fewshot.datasets") / "split_lists" / f"{name}.json"))


def check_splits(dataset: str, class_names: Sequence[str], splits: Mapping[str, Sequence[str]]) -> None:
    """Prove that `splits` part the classes; raises `SplitError` naming those shared, unknown or left out."""
    shared = shared_classes(splits)
    listed = {name for names in splits.values() for name in names}
    unknown = sorted(listed - set(class_names))
    missing = sorted(set(class_names) - listed)
    if shared:
        places = [split for split, names in splits.items() if shared[0] in names]
        raise SplitError(
            f"{dataset}: {_listed(shared)} in more than one split ({shared[0]!r}: {', '.join(places)}); "
            "few-shot splits must not share classes"
        )
    if unknown:
        raise SplitError(f"{dataset}: the splits name {_listed(unknown)} that the data do not have")
    if missing:
        raise SplitError(f"{dataset}: {_listed(missing)} in no split ({', '.join(splits)})")


def shared_classes(splits: Mapping[str, Sequence[str]]) -> list[str]:
    """The classes that are listed more than once, sorted."""
    times = Counter(name for names in splits.values() for name in names)
    return sorted(name for name, count in times.items() if count > 1)


def select_split(dataset: Dataset, split: str) -> Dataset:
    """The classes of one split of the whole `dataset`, after the scheme it belongs to is proved; "all" is the whole.

    "train+val" is both, as papers train their last model. Raises `SplitError` for an unknown split, splits of different
    schemes, and splits that are not disjoint.
    """
    if split == "all":
        return dataset
    for scheme, splits in dataset.splits.items():
        parts = [split] if split in splits else split_parts(split)
        if set(parts) <= set(splits):
            check_splits(f"{dataset.name} ({scheme})", dataset.class_names, splits)
            return replace(dataset.select(classes=[name for part in parts for name in splits[part]]), split=split)
    known = ["all", *(name for splits in dataset.splits.values() for name in splits)]
    raise SplitError(f"{dataset.name} has no split {split!r}; there are: {', '.join(known)}")


def split_parts(split: str) -> list[str]:
    """The splits that "train+val" joins; raises `SplitError` where one is there twice."""
    parts = split.split("+")
    if len(set(parts)) < len(parts):
        raise SplitError(f"{split} has a split twice; name each once")
    return parts


def duplicates_across_splits(dataset: Dataset) -> list[tuple[str, str]]:
    """Pairs of ids of equal pictures whose classes lie in different splits of one scheme (of disjoint classes)."""
    disjoint = [splits for splits in dataset.splits.values() if not shared_classes(splits)]
    groups = duplicate_groups(dataset.images) if disjoint else []
    pairs: list[tuple[int, int]] = []
    for splits in disjoint:
        home = {name: split for split, names in splits.items() for name in names}
        pairs += pairs_across(groups, [home.get(dataset.class_names[label]) for label in dataset.labels.tolist()])
    return [(dataset.ids[first], dataset.ids[other]) for first, other in dict.fromkeys(pairs)]


def warn_of_duplicates(dataset: Dataset, known: Iterable[tuple[str, str]] = ()) -> None:
    """A `FewshotWarning` that names equal pictures in different splits, except those `known` of published data."""
    expected = {frozenset(pair) for pair in known}
    pairs = [pair for pair in duplicates_across_splits(dataset) if frozenset(pair) not in expected]
    if pairs:
        listed = "; ".join(f"{first} = {other}" for first, other in pairs[:5])
        more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
        message = f"{dataset.name}: {len(pairs)} pairs of equal pictures stand in different splits: {listed}{more}"
        warnings.warn(message, FewshotWarning, stacklevel=3)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{'class' if len(names) == 1 else 'classes'} {shown}"
