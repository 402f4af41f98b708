"""`fewshot index compact`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.index.options import wait_option
from fewshot.cli.output import json_option, print_facts, print_json


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@wait_option
@json_option
def compact(index: Path, wait: float, as_json: bool) -> None:
    """Give back the room of what was deleted from INDEX, and make one segment of all that was added. Ids stay.

    \b
    Example:
      fewshot index compact photos.index
    """
    from fewshot.retrieval import build as life
    from fewshot.retrieval.store.info import info

    before = info(index)
    changed = life.compact(index, wait)
    after = info(index)
    facts = {
        "index": str(index),
        "changed": changed,
        "items": after["items"],
        "bytes_before": before["bytes"],
        "bytes": after["bytes"],
    }
    print_json(facts) if as_json else print_facts(facts)
