"""`fewshot bench list | report | compare`: what the kept results say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.bench.options import result_filters, store_option
from fewshot.cli.output import console, json_option, print_json, print_rows
from fewshot.errors import InvalidInput, UnknownName
from fewshot.files import whole_file

if TYPE_CHECKING:
    from fewshot.benchmark import Comparison, Result


@click.command("list")
@result_filters
@store_option
@json_option
def list_results(dataset: str, backbone: str, learner: str, task: str, store: Path, as_json: bool) -> None:
    """List the results that are kept, a line each.

    \b
    Example:
      fewshot bench list --dataset 'cifar*' --learner ridge
    """
    from fewshot.benchmark import ResultStore

    rows = [result_row(result) for result in ResultStore(store).find(dataset, backbone, learner, task)]
    print_json(rows) if as_json else print_rows(rows)


@click.command()
@result_filters
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "html"]),
    default="terminal",
    show_default=True,
    help="Tables on the terminal, Markdown, or a page with plots.",
)
@click.option("--seconds", is_flag=True, help="Beside each accuracy, the seconds for 1,000 tasks.")
@click.option("--out", type=click.Path(path_type=Path), help="Write Markdown or HTML to this file.")
@click.option("--into", type=click.Path(path_type=Path), help="Renew the results block of this Markdown page.")
@store_option
def report(
    dataset: str,
    backbone: str,
    learner: str,
    task: str,
    form: str,
    seconds: bool,
    out: Path | None,
    into: Path | None,
    store: Path,
) -> None:
    """Make tables (and, as HTML, plots) from the results that are kept.

    \b
    Example:
      fewshot bench report
      fewshot bench report --format html --out report.html
      fewshot bench report --into README.md
    """
    from fewshot.benchmark import ResultStore
    from fewshot.benchmark.report import (
        html_report,
        markdown_report,
        percent,
        percent_and_seconds,
        replace_block,
        terminal_report,
    )

    results = ResultStore(store).find(dataset, backbone, learner, task)
    if not results:
        raise InvalidInput(f"no result in {store} matches; run fewshot bench run first, or see fewshot bench list")
    cell = percent_and_seconds if seconds else percent
    if into:
        replace_block(into, markdown_report(results, cell))
        click.echo(f"renewed the results in {into}")
    elif form == "terminal":
        terminal_report(results, console(), cell)
    else:
        _write(markdown_report(results, cell) if form == "markdown" else html_report(results, cell=cell), out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    with whole_file(out) as beside:
        beside.write_text(text, encoding="utf-8")
    click.echo(f"wrote {out}")


@click.command()
@click.argument("a")
@click.argument("b")
@result_filters
@store_option
@json_option
def compare(a: str, b: str, dataset: str, backbone: str, learner: str, task: str, store: Path, as_json: bool) -> None:
    """Say whether A and B (two learners or two backbones) really differ, by a paired test over the same episodes.

    \b
    Example:
      fewshot bench compare simpleshot prototypical --dataset cifar-fs
    """
    from fewshot.benchmark import ResultStore
    from fewshot.benchmark import compare as compare_results

    results = ResultStore(store).find(dataset, backbone, learner, task)
    rows = [_comparison_row(found, a, b) for found in compare_results(_named(results, a), _named(results, b))]
    print_json(rows) if as_json else print_rows(rows)


def result_row(result: Result) -> dict[str, Any]:
    """What a list tells of a result."""
    return {
        "dataset": f"{result.protocol.dataset}:{result.protocol.split}",
        "task": result.protocol.task,
        "backbone": result.backbone_label,
        "learner": result.learner_label,
        "accuracy": round(result.accuracy, 6),
        "ci95": round(result.ci95, 6),
        "episodes": result.protocol.episodes,
    }


def _comparison_row(found: Comparison, a: str, b: str) -> dict[str, Any]:
    return {
        "dataset": f"{found.a.protocol.dataset}:{found.a.protocol.split}",
        "task": found.a.protocol.task,
        "a": f"{found.a.backbone_label} · {found.a.learner_label}",
        "b": f"{found.b.backbone_label} · {found.b.learner_label}",
        "a − b (points)": f"{100 * found.difference:+.2f} ± {100 * found.ci95:.2f}",
        "p (Holm)": f"{found.adjusted_p:.2g}" if found.adjusted_p >= 1e-9 else "< 1e-9",
        "verdict": {"a": f"{a} is better", "b": f"{b} is better", "": "no difference shown"}[found.better],
    }


def _named(results: Sequence[Result], name: str) -> list[Result]:
    """The results of a learner or backbone, by its name with or without settings."""
    found = [r for r in results if name in (r.learner["name"], r.learner_label, r.backbone["name"], r.backbone_label)]
    if not found:
        known = {label for result in results for label in (result.learner_label, result.backbone_label)}
        raise UnknownName("learner or backbone with results", name, known)
    return found
