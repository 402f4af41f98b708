"""`fewshot index merge`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.index.options import wait_option
from fewshot.cli.output import json_option, print_facts, print_json


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@wait_option
@json_option
def merge(index: Path, wait: float, as_json: bool) -> None:
    """Join the segments of INDEX into one on disk, trained as the largest is; it never has to fit into memory.

    For lists of plain codes (IVF with Flat, SQ, PQ or RaBitQ, alone or with RFlat); `compact` does it for any kind, in
    memory, and gives back the room of deleted items.

    \b
    Example:
      fewshot index merge photos.index
    """
    from fewshot.retrieval.scale import merge as join
    from fewshot.retrieval.store.info import info

    changed = join(index, wait)
    after = info(index)
    facts = {"index": str(index), "changed": changed, "items": after["items"], "bytes": after["bytes"]}
    print_json(facts) if as_json else print_facts(facts)
