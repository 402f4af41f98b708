"""`fewshot index export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from fewshot.cli.output import json_option, print_facts, print_json


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("kind")
@click.argument("target")
@click.option("--name", default="items", show_default=True, help="What the table of a database is called.")
@click.option("--replace", is_flag=True, help="Let it take the place of what is there.")
@click.option("--ann", is_flag=True, help="Have the database build its approximate index; else it searches exactly.")
@json_option
def export(index: Path, kind: str, target: str, name: str, replace: bool, ann: bool, as_json: bool) -> None:
    """Copy all items of INDEX, with ids, vectors and columns and without the deleted, to TARGET.

    KIND is lancedb (TARGET: a folder or URI), pgvector (a PostgreSQL URL), clip-retrieval (a new folder of .npy and
    parquet) or table (an embedding table, a new folder).

    \b
    Example:
      fewshot index export photos.index lancedb photos.lance
      fewshot index export photos.index pgvector postgresql://me@localhost/photos --ann
      fewshot index export photos.index clip-retrieval photos.embeddings
    """
    from fewshot.retrieval.exports import export as leave

    facts = asdict(leave(index, kind, target, name, replace, ann))
    print_json(facts) if as_json else print_facts(facts)
