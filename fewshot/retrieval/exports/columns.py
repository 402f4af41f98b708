"""Columns of a sidecar as PostgreSQL has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fewshot.errors import InvalidInput


@dataclass(frozen=True)
class AsSql:
    """The SQL type of a column, and how its values are made."""

    kind: str
    convert: Callable[[Any], list[Any]]

    def values(self, column: Any, keys: Any) -> list[Any]:
        """The values of `column` as Python has them; raises `InvalidInput` naming the item whose text has a NUL."""
        found = self.convert(column)
        if self.kind == "text":
            for row, value in enumerate(found):
                if value is not None and "\0" in value:
                    raise InvalidInput(
                        f"the item {keys[row].as_py()!r} has a text with a NUL character, which PostgreSQL cannot hold"
                    )
        return found


def as_sql(kind: Any) -> AsSql:
    """The SQL type for a pyarrow type: numbers, texts, bytes and times as such, lists and structs as jsonb."""
    import pyarrow
    from pyarrow import types

    def plain(column: Any) -> list[Any]:
        found: list[Any] = column.to_pylist()
        return found

    for test, name in (
        (types.is_boolean, "boolean"),
        (types.is_uint64, "numeric"),
        (types.is_integer, "bigint"),
        (types.is_floating, "double precision"),
        (types.is_decimal, "numeric"),
        (types.is_date, "date"),
        (types.is_binary, "bytea"),
        (types.is_large_binary, "bytea"),
        (types.is_string, "text"),
        (types.is_large_string, "text"),
        (types.is_null, "text"),
    ):
        if test(kind):
            return AsSql(name, plain)
    if types.is_timestamp(kind):
        micro = pyarrow.timestamp("us", kind.tz)
        return AsSql("timestamptz" if kind.tz else "timestamp", lambda column: plain(column.cast(micro, safe=False)))
    if types.is_nested(kind):
        return AsSql("jsonb", _as_json)
    return AsSql("text", lambda column: [None if value is None else str(value) for value in column.to_pylist()])


def _as_json(column: Any) -> list[Any]:
    from psycopg.types.json import Jsonb

    def dumps(value: Any) -> str:
        return json.dumps(value, default=str)

    return [None if value is None else Jsonb(value, dumps) for value in column.to_pylist()]
