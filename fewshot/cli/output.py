"""What commands print: JSON for machines, tables for people, warnings as one line."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fewshot.errors import FewshotWarning

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def console() -> Console:
    """Standard output; as wide as a line needs when it is not a terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=160)


def print_json(content: Any) -> None:
    """Print `content` as indented JSON."""
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows as a table; the keys of the first are the column heads."""
    if not rows:
        click.echo("nothing found")
        return
    table = Table(title=title or None, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold", justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*(_plain(value) for value in row.values()))
    console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print one fact a line, names aligned."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {_plain(value)}")


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(_plain, value))
    return str(value)


@contextmanager
def told_warnings() -> Iterator[None]:
    """Print each `FewshotWarning` once, as one line on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", FewshotWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, FewshotWarning):
                click.echo(f"fewshot: note: {message}", err=True)
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = tell
        yield
