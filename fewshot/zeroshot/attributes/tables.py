"""Attribute tables: a row of numbers for each class, published (Xian et al. 2019) or one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, MissingData, UnknownName
from fewshot.files import data_folder

TABLES = {"apy": (32, 64), "awa1": (50, 85), "awa2": (50, 85), "cub": (200, 312), "sun": (717, 102)}
SPLITS = ("seen", "unseen", "train1", "val1", "train2", "val2", "train3", "val3")


@dataclass(frozen=True)
class AttributeTable:
    """Attributes of classes.

    attributes (C, A) float32; class_names, C of them; attribute_names, A of them, or none where they are not known.
    Published tables have more: `original` (C, A) before rows were scaled to length 1, NaN where a value is missing;
    `zero_one` (C, A), the published binary table, where there is one; `splits`, indices of classes: `seen` and `unseen`
    are the proposed split, `train1` and `val1` (to 3) part the seen ones.
    """

    attributes: Tensor
    class_names: tuple[str, ...]
    attribute_names: tuple[str, ...] = ()
    original: Tensor | None = None
    zero_one: Tensor | None = None
    splits: Mapping[str, Tensor] = field(default_factory=dict)

    def rows(self, class_names: Sequence[str]) -> Tensor:
        """The places (K,) of classes, by name; raises `InvalidInput` that lists those without a row."""
        place = {name: row for row, name in enumerate(self.class_names)}
        if missing := [name for name in class_names if name not in place]:
            told = "; ".join(f"{name!r}{_near(name, self.class_names)}" for name in missing[:5])
            raise InvalidInput(
                f"{len(missing)} of {len(class_names)} classes have no row of attributes: {told}"
                f"{' and others' if len(missing) > 5 else ''}"
            )
        return torch.tensor([place[name] for name in class_names])

    def of(self, class_names: Sequence[str]) -> Tensor:
        """The attributes (K, A) of classes, by name."""
        return self.attributes[self.rows(class_names)]

    def binary(self) -> Tensor:
        """Attributes (C, A) as 0 and 1 float32: the published ones, else above the mean of all known values.

        The threshold is that of Lampert et al. (2014, section 5.1), over the whole table as it was before scaling; a
        missing value is 0.
        """
        if self.zero_one is not None:
            return self.zero_one
        values = self.attributes if self.original is None else self.original
        return (values > values.nanmean()).float()


def load_attributes(name: str) -> AttributeTable:
    """A published table by name, from the folder of local data sets (`$FEWSHOT_DATA`).

    `apy`, `awa1`, `awa2`, `cub` or `sun`, with the proposed splits of Xian et al. (2019). In awa1 and awa2 four values
    of the antelope are missing; the published scaled row, kept here as it is, took them for -1.
    Raises `UnknownName`, and `MissingData` when the file is not there.
    """
    import numpy as np

    if name not in TABLES:
        raise UnknownName("attribute table", name, TABLES)
    folder = data_folder()
    path = Path(folder or "../shared/data") / "zsl_attributes" / f"{name}.npz"
    if not path.is_file():
        raise MissingData(
            f"the attribute table {name} is not at {path}; set FEWSHOT_DATA to the folder that holds zsl_attributes"
        )
    with np.load(path, allow_pickle=False) as kept:
        arrays = {key: kept[key] for key in kept.files}
    original = torch.from_numpy(arrays["attributes_original"]).float()
    zero_one = arrays.get("attributes_binary")
    return AttributeTable(
        attributes=torch.from_numpy(arrays["attributes"]).float(),
        class_names=tuple(map(str, arrays["class_names"])),
        attribute_names=tuple(map(str, arrays.get("attribute_names", ()))),
        original=original.masked_fill(original < 0, torch.nan),
        zero_one=None if zero_one is None else torch.from_numpy(zero_one).float(),
        splits={key: torch.from_numpy(arrays[key].astype(np.int64)).sort().values for key in SPLITS},
    )


def list_attribute_tables() -> list[str]:
    """The names of the published tables."""
    return sorted(TABLES)


def read_attributes(path: str | Path) -> AttributeTable:
    """One's own table: a CSV with a head, the class in the first column and an attribute in each other.

    Raises `UnreadableFile` when it is missing or not text, and `InvalidInput` for a class that occurs twice, a row of
    another length, a cell that is not a finite number, or an attribute that is the same in every class.
    """
    from fewshot.zeroshot.attributes.own_table import read_csv

    class_names, attribute_names, attributes = read_csv(Path(path))
    return AttributeTable(attributes, class_names, attribute_names)


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=3)
    return f" (near: {', '.join(near)})" if near else ""
