"""The report as Markdown, and the block of a page that a report keeps up to date."""

from collections.abc import Sequence
from pathlib import Path

from fewshot.benchmark.report.tables import ASSUMPTIONS, AccuracyTable, Cell, accuracy_tables, percent
from fewshot.benchmark.result import Result
from fewshot.errors import InvalidInput
from fewshot.files import whole_file


def markdown_report(results: Sequence[Result], cell: Cell = percent) -> str:
    """Tables of accuracy in per cent with 95 % intervals; the best of a column is bold.

    cell writes a result: `percent` or `percent_and_seconds`.
    """
    return "\n\n".join(_section(table, cell) for table in accuracy_tables(results)) + "\n"


def replace_block(page: str | Path, content: str, block: str = "results") -> None:
    """Put `content` between the marks `BLOCK:begin` and `BLOCK:end` of `page`, leaving the rest as it is."""
    page = Path(page)
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if text.count(begin) != 1 or text.count(end) != 1:
        raise InvalidInput(f"{page} must hold the lines {begin} and {end} once each; the report goes between them")
    before, rest = text.split(begin)
    with whole_file(page) as beside:
        beside.write_text(f"{before}{begin}\n{content.strip()}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def _section(table: AccuracyTable, cell: Cell) -> str:
    best = [table.best(column) for column in range(len(table.tasks))]
    lines = [f"**{table.dataset}**: {table.facts}", ""]
    lines += ["| backbone | learner | " + " | ".join(table.tasks) + " |"]
    lines += ["|---|---|" + "---:|" * len(table.tasks)]
    used = [name for name in ASSUMPTIONS if any(name in row.assumes for row in table.rows)]
    marks = {name: "*" * (position + 1) for position, name in enumerate(used)}
    for row in table.rows:
        cells = [_bold(cell, result, best[column]) for column, result in enumerate(row.cells)]
        learner = row.learner + "".join(f" {marks[name]}".replace("*", "\\*") for name in row.assumes)
        lines.append(f"| {row.backbone} | {learner} | " + " | ".join(cells) + " |")
    if used:
        lines += ["", "; ".join(f"{marks[name]} {ASSUMPTIONS[name]}".replace("*", "\\*") for name in used)]
    return "\n".join(lines)


def _bold(cell: Cell, result: Result | None, best: Result | None) -> str:
    if result is None:
        return ""
    return f"**{cell(result)}**" if result is best else cell(result)
