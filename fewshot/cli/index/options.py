"""What several index commands take."""

from __future__ import annotations

import re
from typing import Any

import click

from fewshot.cli.arguments import device_option, skip_broken_option, with_options
from fewshot.errors import InvalidInput

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
          "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip

wait_option = click.option(
    "--wait", type=click.FloatRange(0), default=0.0, show_default=True, help="Seconds to wait for another writer."
)

embedding_options = with_options(
    click.option("--backbone", help="The network, or its name among `fewshot backbones list`."),
    click.option("--texts", help="The column of a table that holds texts."),
    click.option("--paths", help="The column of a table that holds paths of pictures."),
    click.option("--columns", help="Columns of the source to keep, with commas between; by default all."),
    skip_broken_option,
    click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Items at a time."),
    click.option("--workers", type=click.IntRange(0), help="Processes that decode; by default one a core."),
    device_option,
    click.option(
        "--shard-rows",
        type=click.IntRange(1),
        default=2048,
        show_default=True,
        help="Items embedded between two notes of what is done: what a kill can lose.",
    ),
    click.option("--restart", is_flag=True, help="Throw away work that was begun and not finished."),
    wait_option,
)


def embedding_arguments(columns: str | None, workers: int | None, **rest: Any) -> dict[str, Any]:
    """The options as `build` and `add` take them."""
    split = None if columns is None else [name for name in columns.split(",") if name]
    return {**rest, "columns": split, "workers": "auto" if workers is None else workers}


def parse_bytes(text: str | None) -> int | None:
    """`4GB`, `500MB`, `2GiB` or a number of bytes."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not found or found[2].lower() not in _UNITS:
        raise InvalidInput(f"{text!r} is no amount of memory; write it as 500MB or 4GB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def parse_recall(text: str) -> tuple[float, int]:
    """`0.95@10`: the share of the 10 nearest that must be found, and how many are the nearest."""
    recall, _, k = text.partition("@")
    try:
        return float(recall), int(k or 10)
    except ValueError:
        raise InvalidInput(f"--recall is written as 0.95@10, found {text!r}") from None
