"""`fewshot index delete`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.index.options import wait_option
from fewshot.cli.output import json_option, print_facts, print_json


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--id", "ids", type=int, multiple=True, help="The id of an item; repeatable.")
@click.option("--key", "keys", multiple=True, help="The key of an item, such as its path; repeatable.")
@click.option("--where", help="A filter over the columns, such as \"label = 'mug'\".")
@click.option("--like", help="A picture, or a text, whose nearest items are deleted: see --nearest, --threshold.")
@click.option("--nearest", type=click.IntRange(1), help="With --like: how many.")
@click.option("--threshold", type=float, help="With --like: all items at least as near as this score.")
@wait_option
@json_option
def delete(
    index: Path,
    ids: tuple[int, ...],
    keys: tuple[str, ...],
    where: str | None,
    like: str | None,
    nearest: int | None,
    threshold: float | None,
    wait: float,
    as_json: bool,
) -> None:
    """Delete items of INDEX. They are found no more from now on; `fewshot index compact` gives their room back.

    \b
    Example:
      fewshot index delete photos.index --key mugs/1.jpg
      fewshot index delete photos.index --where "label = 'mug'"
      fewshot index delete photos.index --like blurred.jpg --threshold 0.98
    """
    from fewshot.errors import InvalidInput
    from fewshot.retrieval.index import Index

    if (nearest is not None or threshold is not None) and not like:
        raise InvalidInput("--nearest and --threshold say how near to --like; give it a picture or a text")
    opened = Index.open(index)
    named = list(ids) or None
    if like:
        if named or keys or where:
            raise InvalidInput("give --id, --key, --where or --like, one of the four")
        named = opened.near(like, nearest, threshold)
    deleted = opened.delete(named, list(keys) or None, where, wait=wait) if named != [] else 0
    facts = {"index": str(index), "deleted": deleted, "items": len(opened)}
    print_json(facts) if as_json else print_facts(facts)
