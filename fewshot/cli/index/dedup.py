"""`fewshot index dedup`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.output import json_option, print_facts, print_json, told_warnings


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--threshold", default=0.98, show_default=True, type=float, help="The score from which two are alike.")
@click.option("--where", help="Only among these items, such as \"label = 'mug'\".")
@click.option("--exact/--by-index", default=None, help="Compare all with all, or ask the index; by default by size.")
@click.option("--delete", is_flag=True, help="Delete all of each group but the oldest.")
@json_option
def dedup(index: Path, threshold: float, where: str | None, exact: bool | None, delete: bool, as_json: bool) -> None:
    """List groups of items of INDEX that are alike: joined by pairs whose score is THRESHOLD or nearer.

    \b
    Example:
      fewshot index dedup photos.index --threshold 0.95
      fewshot index dedup photos.index --delete
    """
    from fewshot.retrieval.index import Index

    with told_warnings():
        opened = Index.open(index)
        found = opened.duplicates(threshold, where=where, exact=exact)
        rows = opened.snapshot.positions([id for group in found.groups for id in group])
        keys = iter(opened.snapshot.keys(rows))
        groups = [[{"id": id, "key": next(keys)} for id in group] for group in found.groups]
        deleted = opened.delete(ids=found.extra) if delete and found.extra else 0
    facts = {
        "index": str(index),
        "threshold": threshold,
        "groups": len(groups),
        "pairs": len(found.pairs),
        "extra_items": len(found.extra),
        "deleted": deleted,
    }
    if as_json:
        print_json({**facts, "groups": groups})
        return
    for number, group in enumerate(groups, 1):
        click.echo(f"{number}: " + ", ".join(f"{item['key']} (id {item['id']})" for item in group))
    print_facts(facts)
