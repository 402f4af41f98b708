"""The embedding table: one vector an image, with everything that is known about the image beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.datasets import Grouping, select_items
from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.fingerprint import fingerprint


@dataclass(frozen=True)
class EmbeddingTable:
    """Features of labelled items, and where they come from.

    features (N, D) float32; labels (N,) int64, an index into `class_names`; `ids`, one unique name an item; `groups`,
    named partitions of the items (alphabet, domain, ...). `backbone` and `dataset` are the fingerprints of what made
    the features; `provenance` describes both in full. Raises `InvalidInput` when the parts do not fit together.
    """

    features: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    groups: Mapping[str, Grouping] = field(default_factory=dict)
    backbone: str = ""
    dataset: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not self.features.is_floating_point():
            raise InvalidInput(f"features must be a float tensor (items, dim), found {_form(self.features)}")
        count = len(self.features)
        if self.labels.shape != (count,) or self.labels.dtype != torch.int64:
            raise InvalidInput(f"labels must be int64 of shape ({count},), found {_form(self.labels)}")
        if count and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.class_names):
            raise InvalidInput(f"labels must lie in [0, {len(self.class_names)}), the number of class names")
        if len(self.ids) != count:
            raise InvalidInput(f"{count} features need {count} ids, found {len(self.ids)}")
        for name, grouping in self.groups.items():
            if len(grouping.codes) != count:
                raise InvalidInput(f"group {name!r} must tell {count} items, found {len(grouping.codes)}")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def name(self) -> str:
        """The data set that was embedded, for messages."""
        described = self.provenance.get("dataset")
        return described["name"] if isinstance(described, dict) else "the table"

    @property
    def dim(self) -> int:
        """The length of a feature vector."""
        return self.features.shape[1]

    @property
    def fingerprint(self) -> str:
        """Changes with the backbone, its settings, and the items and their order."""
        return fingerprint(self.backbone, self.dataset)

    def to(self, device: str | torch.device) -> EmbeddingTable:
        """The same table with features and labels on `device`."""
        return replace(self, features=self.features.to(device), labels=self.labels.to(device))

    def select(
        self,
        indices: Tensor | Sequence[int] | None = None,
        classes: str | Sequence[str] | Sequence[int] | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
    ) -> EmbeddingTable:
        """The items that meet every condition given, as a table of their own; arguments as in `Dataset.select`.

        `indices` picks and orders items, `where={"domain": "photo"}` keeps groups, `classes` (names or indices) keeps
        these classes and numbers them anew in the order given.
        """
        chosen = select_items(self, indices, classes, where)
        on_device = chosen.indices.to(self.features.device)
        return replace(
            self,
            features=self.features[on_device],
            labels=chosen.labels.to(self.labels.device),
            class_names=chosen.class_names,
            ids=tuple(self.ids[row] for row in chosen.indices.tolist()),
            groups={name: grouping.select(chosen.indices) for name, grouping in self.groups.items()},
            dataset=fingerprint(self.dataset, chosen.indices, chosen.class_names),
        )

    def save(self, folder: str | Path) -> None:
        """Write the table as a folder (safetensors, parquet, JSON), whole or not at all."""
        from fewshot.embeddings.storage import save_table

        save_table(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> EmbeddingTable:
        """Open a saved table; features stay on disk, memory-mapped, until they are touched.

        Raises `UnreadableFile` when the folder is missing, damaged or of a later version.
        """
        from fewshot.embeddings.storage import load_table

        return load_table(Path(folder))


def concatenate(tables: Sequence[EmbeddingTable]) -> EmbeddingTable:
    """One table from several made by the same backbone; classes of the same name become one.

    Groups that every table has are kept. Raises `FingerprintMismatch` when the backbones differ and `InvalidInput` for
    no table or for an id that occurs twice.
    """
    if not tables:
        raise InvalidInput("concatenate needs at least one table, found none")
    first = tables[0]
    for table in tables[1:]:
        if table.backbone != first.backbone:
            raise FingerprintMismatch(
                f"tables of different backbones do not mix: {_made_by(first)} and {_made_by(table)}; "
                "embed both data sets with the same backbone, precision and layers"
            )
    ids = tuple(name for table in tables for name in table.ids)
    if len(set(ids)) < len(ids):
        twice = next(name for position, name in enumerate(ids) if name in set(ids[:position]))
        raise InvalidInput(f"id {twice!r} occurs in two of the tables; ids must be unique")
    names = tuple(dict.fromkeys(name for table in tables for name in table.class_names))
    number = {name: index for index, name in enumerate(names)}
    labels = [torch.tensor([number[n] for n in table.class_names])[table.labels.cpu()] for table in tables]
    shared = [name for name in first.groups if all(name in table.groups for table in tables)]
    return replace(
        first,
        features=torch.cat([table.features for table in tables]),
        labels=torch.cat(labels).to(first.labels.device),
        class_names=names,
        ids=ids,
        groups={name: _join([table.groups[name] for table in tables]) for name in shared},
        dataset=fingerprint([table.dataset for table in tables]),
        provenance={**first.provenance, "dataset": [table.provenance.get("dataset") for table in tables]},
    )


def _join(groupings: Sequence[Grouping]) -> Grouping:
    names = tuple(dict.fromkeys(name for grouping in groupings for name in grouping.names))
    number = {name: index for index, name in enumerate(names)}
    codes = [torch.tensor([number[name] for name in grouping.names])[grouping.codes] for grouping in groupings]
    return Grouping(torch.cat(codes), names)


def _made_by(table: EmbeddingTable) -> str:
    described = table.provenance.get("backbone") or {}
    return f"{described.get('name', 'a backbone')} ({table.backbone or 'no fingerprint'})"


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
