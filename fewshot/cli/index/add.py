"""`fewshot index add`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fewshot.cli.index.options import embedding_arguments, embedding_options
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("source")
@embedding_options
@click.option("--replace", is_flag=True, help="Where keys clash with those of another source, put the new items there.")
@json_option
def add(index: Path, source: str, backbone: str | None, device: str, as_json: bool, **how: Any) -> None:
    """Add to INDEX what is new or has changed in SOURCE, told by the content of each item.

    SOURCE is as for `build`. What has changed gets a new id, and the old one is deleted. The backbone is that of the
    index.

    \b
    Example:
      fewshot index add photos.index photos
    """
    from fewshot.errors import InvalidInput
    from fewshot.retrieval import build as life
    from fewshot.retrieval.build.encoder import make_backbone
    from fewshot.retrieval.sources import VectorSource, open_source
    from fewshot.retrieval.store import read_manifest

    arguments = embedding_arguments(**how)
    with told_warnings():
        told = read_manifest(index)
        opened = open_source(source, arguments.pop("texts"), arguments.pop("paths"))
        name = backbone or str(told.backbone["name"])
        if not name and not isinstance(opened, VectorSource):
            raise InvalidInput(f"{index} was made from vectors of an unknown backbone; only vectors can be added to it")
        made = None if isinstance(opened, VectorSource) else make_backbone(name, device)
        added = life.add(index, opened, made, **arguments)
    facts = {
        "index": str(index),
        "added": added.added,
        "of_these_changed": added.changed,
        "unchanged": added.unchanged,
        "broken": list(added.broken),
        "items": read_manifest(index).live,
    }
    print_json(facts) if as_json else print_facts({**facts, "broken": ", ".join(added.broken) or None})
