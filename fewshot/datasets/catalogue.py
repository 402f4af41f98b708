"""Data sets by name: what there is, where it comes from, and loading with the splits proved."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewshot.datasets.broken import without_broken
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.folder import ImageFolder
from fewshot.datasets.splits import check_splits, select_split, warn_of_duplicates
from fewshot.errors import InvalidInput, UnknownName
from fewshot.registry import Registry

Loader = Callable[..., Dataset]


@dataclass(frozen=True)
class DatasetInfo:
    """What can be told of a data set without opening it; counts are those of the published whole.

    `located()` says where its files are, or gives None where they are missing. `known_duplicates` are pairs of ids of
    equal pictures in different published splits: told by `check_dataset`, not warned of at every load.
    """

    summary: str = ""
    classes: int | None = None
    items: int | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    located: Callable[[], str | Path | None] = lambda: "comes with the install"
    known_duplicates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Entry:
    load: Loader
    info: DatasetInfo


_DATASETS: Registry[_Entry] = Registry("data set")
_PATH_KINDS = ("folder", "zip")


def register_dataset(name: str, info: DatasetInfo | None = None) -> Callable[[Loader], Loader]:
    """Decorate a function that returns the whole `Dataset`, its class splits in `Dataset.splits`; options are keywords.

    >>> @register_dataset("my-birds")
    ... def my_birds() -> Dataset:
    ...     return ImageFolder("photos/birds")
    """

    def enter(load: Loader) -> Loader:
        summary = (inspect.getdoc(load) or "").split("\n")[0]
        _DATASETS.add(name, _Entry(load, info or DatasetInfo(summary=summary)))
        return load

    return enter


def list_datasets(pattern: str = "*") -> list[str]:
    """The names that match a shell pattern, sorted; besides these, `folder:PATH` and `zip:PATH` can be loaded."""
    return _DATASETS.names(pattern)


def describe_dataset(name: str) -> dict[str, Any]:
    """The facts of a registered data set as JSON values, without loading it; raises `UnknownName`."""
    entry = _entry(name)
    info, located = entry.info, entry.info.located()
    return {
        "name": name,
        "summary": info.summary,
        "classes": info.classes,
        "items": info.items,
        "splits": dict(info.splits),
        "options": list(inspect.signature(entry.load).parameters),
        "source": info.source,
        "licence": info.licence,
        "available": located is not None,
        "located": None if located is None else str(located),
        "known_duplicates": [list(pair) for pair in info.known_duplicates],
    }


def load_dataset(name: str, /, split: str = "all", *, skip_broken: bool = False, **options: Any) -> Dataset:
    """Load a data set, or one class-disjoint split of it, or several joined ("train+val").

    `name`: one of `list_datasets()`, or `folder:PATH` or `zip:PATH` for one's own pictures (see `ImageFolder`).
    `skip_broken`: decode every picture once and leave out, with a warning, what cannot be read.
    `options`: keywords of the data set itself; `describe_dataset(name)["options"]` lists them.

    Raises `UnknownName`, `SplitError` (unknown split; classes shared by splits), `MissingData` (files not there, with
    where they were looked for), `MissingPackage`, and `InvalidInput` for an unknown option. Equal pictures in
    different splits are warned of, unless they are known to be so in the published data.
    """
    kind, _, path = name.partition(":")
    if path and kind in _PATH_KINDS:
        _check_options(name, ["name"], options)
        return ImageFolder(path, split=split, skip_broken=skip_broken, **options)
    entry = _entry(name)
    _check_options(name, list(inspect.signature(entry.load).parameters), options)
    dataset = entry.load(**options)
    for scheme, splits in dataset.splits.items():
        check_splits(f"{name} ({scheme})", dataset.class_names, splits)
    if dataset.images.quick_digests:
        warn_of_duplicates(dataset, entry.info.known_duplicates)
    if skip_broken:
        dataset = without_broken(dataset)
    return select_split(dataset, split)


def _entry(name: str) -> _Entry:
    if name not in _DATASETS:
        raise UnknownName(
            "data set", name, _DATASETS, hint="a folder or zip of your own loads as folder:PATH or zip:PATH"
        )
    return _DATASETS[name]


def _check_options(name: str, known: Sequence[str], options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in known:
            raise InvalidInput(f"{name} has no option {option!r}; it takes: {', '.join(known) or 'none'}")
