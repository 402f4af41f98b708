"""Reading what a file says without trusting it: each field has the type, range and form that it must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.errors import UnreadableFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
_HASH = re.compile(r"[0-9a-f]{64}")


class Fields:
    """The fields of one JSON object; whatever is not as it must be raises `UnreadableFile` naming file and field."""

    def __init__(self, content: Any, path: Path, place: str = "") -> None:
        self.path, self.place = path, place
        if not isinstance(content, dict):
            raise self.wrong("", "an object", content)
        self.content: dict[str, Any] = content

    def wrong(self, name: str, needed: str, found: Any) -> UnreadableFile:
        """The error for a field that is not what is needed."""
        where = ".".join(part for part in (self.place, name) if part) or "the file"
        return UnreadableFile(f"{self.path} is damaged: {where} must be {needed}, found {str(found)[:60]!r}")

    def whole(self, name: str, least: int = 0, most: int = 2**63 - 1) -> int:
        """A whole number in [least, most]."""
        value = self.content.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"a whole number from {least} to {most}", value)
        return value

    def text(self, name: str, among: tuple[str, ...] = ()) -> str:
        """A string, one of `among` where these are given."""
        value = self.content.get(name)
        if not isinstance(value, str) or (among and value not in among):
            raise self.wrong(name, f"one of {', '.join(among)}" if among else "a text", value)
        return value

    def name(self, name: str) -> str:
        """A file's name: no folder, no separator, not hidden."""
        return self.as_name(name, self.content.get(name))

    def as_name(self, name: str, value: Any) -> str:
        """`value` as the name of a file."""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise self.wrong(name, "the name of a file, without a folder", value)
        return value

    def digest(self, name: str) -> str:
        """The field as a SHA-256 in hexadecimal digits; raises `UnreadableFile` for anything else."""
        value = self.content.get(name)
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise self.wrong(name, "a SHA-256", value)
        return value

    def object(self, name: str) -> dict[str, Any]:
        """The field as a JSON object; raises `UnreadableFile` for anything else."""
        return self.inside(name).content

    def inside(self, name: str) -> Fields:
        """The fields of the object in this field."""
        return Fields(self.content.get(name), self.path, f"{self.place}.{name}" if self.place else name)

    def texts(self, name: str) -> dict[str, str]:
        """The field as an object whose values are strings; raises `UnreadableFile` for anything else."""
        value = self.object(name)
        if not all(isinstance(each, str) for each in value.values()):
            raise self.wrong(name, "texts by name", value)
        return value

    def each(self, name: str) -> list[Fields]:
        """The fields of every object in a list."""
        value = self.content.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list", value)
        prefix = f"{self.place}.{name}" if self.place else name
        return [Fields(one, self.path, f"{prefix}[{place}]") for place, one in enumerate(value)]

    def names(self, name: str) -> tuple[str, ...]:
        """A list of names of files."""
        value = self.content.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list", value)
        return tuple(self.as_name(name, one) for one in value)


def as_object(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes with a `to_json` as plain JSON."""
    return {name: note.to_json() for name, note in notes.items()}
