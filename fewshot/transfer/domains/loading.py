"""A domain that a person names: a data set, a folder of pictures, an embedding table, or one group of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.classify.sources import find_pictures
from fewshot.datasets import list_datasets, load_dataset
from fewshot.embeddings import EmbeddingTable, embed, embed_images
from fewshot.embeddings.storage import MANIFEST
from fewshot.errors import InvalidInput
from fewshot.transfer.domains.checks import check_same_classes
from fewshot.transfer.domains.domain_data import FEATURE_TABLES

if TYPE_CHECKING:
    from fewshot.backbones import Backbone


@dataclass(frozen=True)
class Domain:
    """Features (N, D) with ids, and labels (N,) into `class_names` where they are known."""

    name: str
    features: Tensor
    ids: tuple[str, ...]
    labels: Tensor | None
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.features)


def load_domain(text: str, backbone: Callable[[], Backbone], labelled: bool = True) -> Domain:
    """The domain that `NAME`, `NAME@split` or `NAME@group=value` stands for.

    NAME is a folder written by `fewshot embed`, one of `FEATURE_TABLES`, a data set, or a folder or zip of pictures;
    these last two are embedded by `backbone()`. Without `labelled` its classes are not looked at, and a folder may hold
    pictures without class folders.
    """
    name, _, part = text.partition("@")
    path = Path(name)
    if (path / MANIFEST).exists():
        table = EmbeddingTable.load(path)
    elif name in FEATURE_TABLES:
        table = FEATURE_TABLES[name]()
    elif name not in list_datasets() and path.is_dir() and not labelled:
        pictures = find_pictures([name])
        return Domain(text, embed_images(backbone(), pictures), tuple(pictures), None, ())
    else:
        return _of_images(text, name, part, backbone, labelled)
    group, equals, value = part.partition("=")
    if part and not equals:
        raise InvalidInput(f"{text}: a table has no splits; name a group of it: {name}@{_groups(table)}")
    return _domain(text, table.select(where={group: value} if part else None), labelled)


def matched(source: Domain, target: Domain, shared: bool = False) -> tuple[Domain, Domain]:
    """Both with the same numbers for the same classes; with `shared` alone, only items of classes that both have.

    A target without labels stays as it is. Raises `InvalidInput` naming the classes that one of them lacks, and where
    no two are shared.
    """
    if source.labels is None:
        raise InvalidInput(f"{source.name} has no labels; the source needs class folders or a table with labels")
    if target.labels is None:
        return source, target
    classes = [sorted({side.class_names[label] for label in labels.unique().tolist()})
               for side, labels in ((source, source.labels), (target, target.labels))]  # fmt: skip
    common = tuple(name for name in classes[0] if name in set(classes[1]))
    if not shared:
        check_same_classes(*map(tuple, classes))
    elif len(common) < 2:
        raise InvalidInput(f"{source.name} and {target.name} share {len(common)} classes; two or more are needed")
    return _of_classes(source, common), _of_classes(target, common)


def _of_images(text: str, name: str, part: str, backbone: Callable[[], Backbone], labelled: bool) -> Domain:
    group, equals, value = part.partition("=")
    split = "all" if equals or not part else part
    is_path = name not in list_datasets() and Path(name).exists()
    dataset = load_dataset(f"folder:{name}" if is_path else name, split=split)
    if equals:
        dataset = dataset.select(where={group: value})
    return _domain(text, embed(backbone(), dataset), labelled)


def _domain(text: str, table: EmbeddingTable, labelled: bool) -> Domain:
    labels = table.labels if labelled else None
    return Domain(text, table.features.clone(), table.ids, labels, table.class_names)


def _of_classes(domain: Domain, names: tuple[str, ...]) -> Domain:
    assert domain.labels is not None
    number = {name: place for place, name in enumerate(names)}
    moved = torch.tensor([number.get(name, -1) for name in domain.class_names])[domain.labels]
    kept = moved >= 0
    return replace(
        domain,
        features=domain.features[kept],
        ids=tuple(name for name, keep in zip(domain.ids, kept.tolist(), strict=True) if keep),
        labels=moved[kept],
        class_names=names,
    )


def _groups(table: EmbeddingTable) -> str:
    named = [f"{name}={grouping.names[0]}" for name, grouping in table.groups.items()]
    return named[0] if named else "GROUP=VALUE"
