"""`fewshot index search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fewshot.cli.arguments import device_option
from fewshot.cli.output import json_option, print_json, print_rows, told_warnings


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.argument("queries", nargs=-1)
@click.option("--text", "texts", multiple=True, help="A text to search by; may be given several times.")
@click.option("--id", "ids", type=int, multiple=True, help="An item of the index to search by, by its id.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many to find.")
@click.option("--threshold", type=float, help="Instead of k, all at least as near as this score.")
@click.option("--where", help="A filter over the columns, such as \"label = 'mug' and year > 2019\".")
@click.option("--exclude-self", is_flag=True, help="Leave out the item that asks.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Draw the hits as a contact sheet (.png or .jpg).")
@device_option
@json_option
def search(
    index: Path,
    queries: tuple[str, ...],
    texts: tuple[str, ...],
    ids: tuple[int, ...],
    k: int,
    threshold: float | None,
    where: str | None,
    exclude_self: bool,
    sheet: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find the items of INDEX nearest to QUERIES, which are pictures (files) or texts.

    Texts need a backbone with words. Filters know = != < <= > >=, in, between, like, is null, and, or, not and
    parentheses.

    \b
    Example:
      fewshot index search photos.index query.jpg -k 5 --sheet hits.png
      fewshot index search photos.index --text "a red mug" --where "year > 2019"
      fewshot index search photos.index --id 17 --exclude-self
    """
    from fewshot.errors import InvalidInput
    from fewshot.retrieval.build.encoder import make_backbone
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.search.queries import Text

    asked: list[Any] = [*queries, *map(Text, texts), *ids]
    if not asked:
        raise InvalidInput("nothing was asked: give pictures, --text or --id")
    with told_warnings():
        opened = Index.open(index)
        if (queries or texts) and device != "auto":
            opened = Index.open(index, make_backbone(str(opened.manifest.backbone["name"]), device))
        if threshold is None:
            found: Any = opened.search(asked, k, where=where, exclude_self=exclude_self)
        else:
            found = opened.range_search(asked, threshold, where=where, exclude_self=exclude_self)
        if sheet is not None:
            from fewshot.retrieval.search.sheet import draw_sheet

            draw_sheet(opened, list(found), sheet)
    if as_json:
        print_json([hits.to_json() for hits in found])
        return
    for hits in found:
        print_rows([_shown(row) for row in hits.rows], title=str(hits.query))
    if sheet is not None:
        click.echo(f"drawn: {sheet}")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if name == "score" else value for name, value in row.items() if name != "hash"}
