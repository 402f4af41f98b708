"""Class splits: proved to be disjoint, known and complete, and searched for pictures that stand in two of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from fewshot.datasets.dataset import Dataset
from fewshot.datasets.duplicates import duplicate_groups
from fewshot.errors import SplitError
from fewshot.files import read_json


def split_list(name: str) -> Any:
    """The published class lists kept as `split_lists/<name>.json`."""
    return read_json(str(files("fewshot.datasets") / "split_lists" / f"{name}.json"))


def check_splits(dataset: str, class_names: Sequence[str], splits: Mapping[str, Sequence[str]]) -> None:
    """Prove that `splits` part the classes; raises `SplitError` naming those shared, unknown or left out."""
    times = Counter(name for names in splits.values() for name in names)
    shared = sorted(name for name, count in times.items() if count > 1)
    unknown = sorted(times.keys() - set(class_names))
    missing = sorted(set(class_names) - times.keys())
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


def select_split(dataset: Dataset, split: str) -> Dataset:
    """The classes of one split of the whole `dataset`, after the scheme it belongs to is proved; "all" is the whole.

    Raises `SplitError` for an unknown split and for splits that are not disjoint.
    """
    if split == "all":
        return dataset
    for scheme, splits in dataset.splits.items():
        if split in splits:
            check_splits(f"{dataset.name} ({scheme})", dataset.class_names, splits)
            return replace(dataset.select(classes=list(splits[split])), split=split)
    known = ["all", *(name for splits in dataset.splits.values() for name in splits)]
    raise SplitError(f"{dataset.name} has no split {split!r}; there are: {', '.join(known)}")


def duplicates_across_splits(dataset: Dataset) -> list[tuple[str, str]]:
    """Pairs of ids of equal pictures whose classes lie in different splits of one scheme."""
    groups = duplicate_groups(dataset.images)
    pairs = []
    for splits in dataset.splits.values():
        home = {name: split for split, names in splits.items() for name in names}
        item_home = [home.get(dataset.class_names[label]) for label in dataset.labels.tolist()]
        for group in groups:
            for other in group[1:]:
                if item_home[group[0]] != item_home[other]:
                    pairs.append((dataset.ids[group[0]], dataset.ids[other]))
    return list(dict.fromkeys(pairs))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{'class' if len(names) == 1 else 'classes'} {shown}"
