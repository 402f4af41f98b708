"""One registry for everything that is found by name: backbones, data sets, learners."""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from fewshot.errors import InvalidInput, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to entries of one kind, in the order of registration.

    >>> shapes = Registry("shape")
    >>> shapes.add("square", 4)
    >>> shapes["square"]
    4
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> None:
        """Enter `entry` under `name`; a name that is taken raises `InvalidInput`."""
        if name in self._entries:
            raise InvalidInput(f"a {self.kind} called {name!r} is already registered; choose another name")
        self._entries[name] = entry

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator form of `add`."""

        def enter(entry: T) -> T:
            self.add(name, entry)
            return entry

        return enter

    def names(self, pattern: str = "*") -> list[str]:
        """The names that match a shell pattern (`*`, `?`), sorted."""
        return sorted(name for name in self._entries if fnmatchcase(name, pattern))

    def __getitem__(self, name: str) -> T:
        """The entry called `name`; raises `UnknownName` with the nearest names."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)
