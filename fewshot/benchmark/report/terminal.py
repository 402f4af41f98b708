"""The report as tables on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from fewshot.benchmark.report.tables import Cell, accuracy_tables, percent
from fewshot.benchmark.result import Result


def terminal_report(results: Sequence[Result], console: Console, cell: Cell = percent) -> None:
    """Print a table a data set: accuracy in per cent with 95 % intervals; the best of a column is bold.

    cell writes a result: `percent` or `percent_and_seconds`.
    """
    for table in accuracy_tables(results):
        best = [table.best(column) for column in range(len(table.tasks))]
        drawn = Table(title=table.dataset, caption=table.facts, title_justify="left", caption_justify="left")
        drawn.add_column("backbone", overflow="fold")
        drawn.add_column("learner", overflow="fold")
        for task in table.tasks:
            drawn.add_column(task, justify="right", no_wrap=True)
        if any(row.assumes for row in table.rows):
            drawn.add_column("assumes", overflow="fold")
        for row in table.rows:
            cells = [
                "" if result is None else f"[bold]{cell(result)}[/bold]" if result is best[column] else cell(result)
                for column, result in enumerate(row.cells)
            ]
            notes = [", ".join(row.assumes)] if len(drawn.columns) > len(cells) + 2 else []
            drawn.add_row(row.backbone, row.learner, *cells, *notes)
        console.print(drawn)
