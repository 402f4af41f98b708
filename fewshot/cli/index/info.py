"""`fewshot index info`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.output import json_option, print_facts, print_json


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@json_option
def info(index: Path, as_json: bool) -> None:
    """Tell what INDEX is: items, bytes, backbone, settings, and what was measured.

    \b
    Example:
      fewshot index info photos.index
    """
    from fewshot.retrieval.store.info import info as look

    facts = look(index)
    print_json(facts) if as_json else print_facts(
        {name: value for name, value in facts.items() if value not in (None, {})}
    )
