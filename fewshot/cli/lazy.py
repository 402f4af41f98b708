"""A group of commands, each in a file named after it, whose code is loaded when it is called: `--help` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click


class LazyGroup(click.Group):
    """Commands found by name in `<package>.<name>`; `told` says of each in a line what it does."""

    def __init__(self, *arguments: Any, package: str, told: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._package, self._told = package, told

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names told of whose files are there, in that order."""
        return [name for name in self._told if find_spec(f"{self._package}.{name}")]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, whose file is imported now; None for a name that is not listed."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = getattr(import_module(f"{self._package}.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each name and its line, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._told[name]) for name in self.list_commands(ctx)])
