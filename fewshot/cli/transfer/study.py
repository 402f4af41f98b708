"""`fewshot transfer study`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.output import told_warnings


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--store", default="transfer", show_default=True, type=click.Path(path_type=Path), help="Where results go."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def study(names: tuple[str, ...], store: Path, quiet: bool) -> None:
    """Run the studies NAMES of the report, or list them; one that was stopped goes on where it was.

    \b
    Example:
      fewshot transfer study
      fewshot transfer study layers digits --store benchmarks/transfer_store
    """
    from fewshot.transfer import TransferStore
    from fewshot.transfer.studies import list_studies, load_study

    if not names:
        for name in list_studies():
            click.echo(f"{name}: {load_study(name).claim}")
        return
    for chosen in [load_study(name) for name in names]:
        with told_warnings():
            chosen.run(TransferStore(store), not quiet)
        click.echo(f"{chosen.name}: {len(TransferStore(store).find(chosen.name))} results in {store}")
