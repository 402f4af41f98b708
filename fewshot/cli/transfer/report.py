"""`fewshot transfer report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--store", default="transfer", show_default=True, type=click.Path(path_type=Path), help="The results.")
@click.option("--out", type=click.Path(path_type=Path), help="A Markdown file; by default the report is printed.")
def report(store: Path, out: Path | None) -> None:
    """Make the report from the results of the studies in STORE: every claim, its numbers, and the answer.

    \b
    Example:
      fewshot transfer report --store benchmarks/transfer_store --out docs/transfer_report.md
    """
    from fewshot.errors import MissingData
    from fewshot.files import whole_file
    from fewshot.transfer import TransferStore
    from fewshot.transfer.report import report as made_of

    results = list(TransferStore(store))
    if not results:
        raise MissingData(f"{store} holds no results of studies; measure some with `fewshot transfer study NAME`")
    text = made_of(results)
    if out is None:
        click.echo(text, nl=False)
        return
    with whole_file(out) as beside:
        beside.write_text(text, encoding="utf-8")
    click.echo(f"{len(results)} results: {out}")
