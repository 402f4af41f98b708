"""A user's attribute table from a CSV, with every fault told by line and column."""

import csv
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, UnreadableFile


def read_csv(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], Tensor]:
    """Class names, attribute names and attributes (C, A); see `read_attributes`."""
    head, rows = _lines(path)
    attribute_names = tuple(head[1:])
    if not attribute_names or not rows:
        raise InvalidInput(
            f"{path} must have a head (class, then attributes) and a row for each class, found {len(rows)} rows and "
            f"{len(attribute_names)} attributes"
        )
    if twice := sorted({name for name in attribute_names if attribute_names.count(name) > 1}):
        raise InvalidInput(f"{path}: the attribute {twice[0]!r} occurs twice; attributes must differ")
    found: dict[str, list[float]] = {}
    for line, (name, *cells) in rows:
        if name in found:
            raise InvalidInput(f"{path}, line {line}: the class {name!r} occurs twice; give one row for each class")
        if len(cells) != len(attribute_names):
            raise InvalidInput(f"{path}, line {line}: {name!r} needs {len(attribute_names)} values, found {len(cells)}")
        found[name] = [
            _number(cell, f"{path}, line {line}: {attribute!r} of {name!r}")
            for attribute, cell in zip(attribute_names, cells, strict=True)
        ]
    attributes = torch.tensor(list(found.values()))
    constant = (attributes == attributes[:1]).all(0)
    if len(found) > 1 and bool(constant.any()):
        names = ", ".join(repr(attribute_names[column]) for column in constant.nonzero().flatten()[:5].tolist())
        raise InvalidInput(f"{path}: the same in every class, so it tells none apart: {names}; leave it out")
    return tuple(found), attribute_names, attributes


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The head, and the other lines that are not blank with their number; cells without blanks around."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist") from None
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"{path} is not a CSV in UTF-8 ({error})") from None
    return (lines[0][1], lines[1:]) if lines else ([], [])


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InvalidInput(f"{where} must be a finite number, found {cell or 'nothing'!r}")
    return value
