"""What the settings of a way to join may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from math import isfinite
from typing import Any

from fewshot.errors import InvalidInput


def check_names(way: str, fit: Callable[..., Any], given: Iterable[str]) -> None:
    """Raise `InvalidInput` for a setting that `fit`, whose first argument is the pairs, does not take."""
    known = list(signature(fit).parameters)[1:]
    for name in given:
        if name not in known:
            raise InvalidInput(f"{way} has no setting {name!r}; its settings are {', '.join(known)}")


def check_whole(way: str, least: int = 1, **values: Any) -> None:
    """Raise `InvalidInput` for a value that is not a whole number of `least` or more."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidInput(f"{way}: {name} must be a whole number of {least} or more, found {value!r}")


def check_positive(way: str, zero: bool = False, **values: Any) -> None:
    """Raise `InvalidInput` for a value that is not a finite number above zero, or with `zero` not below it."""
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not number or value < 0 or (value == 0 and not zero):
            needed = "zero or above" if zero else "above zero"
            raise InvalidInput(f"{way}: {name} must be a number {needed}, found {value!r}")
