"""`fewshot index verify`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings


@click.command()
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--sample", type=click.IntRange(0), default=8, show_default=True, help="Items to embed anew.")
@click.option("--source", help="Where the items are, if not where they were.")
@json_option
def verify(index: Path, sample: int, source: str | None, as_json: bool) -> None:
    """Check INDEX: every file's hash, every row and id, and a sample of the items embedded anew.

    The exit code is 1 where something is wrong.

    \b
    Example:
      fewshot index verify photos.index
    """
    from fewshot.retrieval.verify import verify as look

    with told_warnings():
        report = look(index, sample, source)
    if as_json:
        print_json(report.to_json())
    else:
        said = {True: "right", False: "WRONG", None: "not checked"}
        print_rows([{"check": check.name, "": said[check.ok], "found": check.told} for check in report.checks])
    if not report.ok:
        raise SystemExit(1)
