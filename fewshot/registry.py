"""One registry for everything that is found by name: backbones, data sets, learners."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from fewshot.errors import InvalidInput, UnknownName

T = TypeVar("T")
AnyClass = TypeVar("AnyClass", bound=type)


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


class MethodRegistry(Registry[type[T]]):
    """Methods by name: dataclasses whose fields are their settings, with `name` and `paper` on the class."""

    def method(self, name: str, paper: str) -> Callable[[AnyClass], AnyClass]:
        """The decorator that enters a class under `name`, and notes both on it."""

        def enter(method: AnyClass) -> AnyClass:
            self.add(name, method)
            entered: Any = method
            entered.name, entered.paper = name, paper
            return method

        return enter

    def create(self, name: str, settings: Mapping[str, Any]) -> T:
        """The method called `name` with these settings, and defaults for the others.

        Raises `UnknownName` with the nearest names, and `InvalidInput` for a setting it lacks or a value it refuses.
        """
        method = self[name]
        defaults = default_settings(method)
        for setting in settings:
            if setting not in defaults:
                known = ", ".join(f"{key}={value!r}" for key, value in defaults.items()) or "none"
                raise InvalidInput(f"{name} has no setting {setting!r}; its settings and defaults: {known}")
        return method(**settings)


def default_settings(method: Any) -> dict[str, Any]:
    """The fields of a dataclass with their defaults."""
    return {setting.name: setting.default for setting in fields(method)}


def summary(method: type) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((method.__doc__ or "").split("\n\n")[0].split())
