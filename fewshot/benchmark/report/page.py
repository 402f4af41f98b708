"""The report as one HTML page that needs nothing beside it."""

from collections.abc import Sequence
from html import escape

from fewshot.benchmark.report.plots import accuracy_by_shots, curves_svg
from fewshot.benchmark.report.tables import ASSUMPTIONS, AccuracyTable, Cell, accuracy_tables, assumptions, percent
from fewshot.benchmark.report.trade_off import trade_off_svg, trade_offs
from fewshot.benchmark.result import Result

MOST_CURVES = 24  # in one plot
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
caption, .facts { color: #666; text-align: left; }
td.best { font-weight: 700; }
svg { max-width: 100%; height: auto; }
"""


def html_report(results: Sequence[Result], title: str = "Few-shot benchmark", cell: Cell = percent) -> str:
    """A page with a table for each data set, plots, and what made the numbers.

    Accuracy by shots is drawn where there are several and not too many learners to tell apart, accuracy against seconds
    where there are several learners. cell writes a result: `percent` or `percent_and_seconds`.
    """
    parts = [f"<h1>{escape(title)}</h1>", "<p>Accuracy in per cent, mean over episodes ± 95 % interval.</p>"]
    plots, choices = accuracy_by_shots(results), trade_offs(results)
    for table in accuracy_tables(results):
        parts.append(_section(table, cell))
        for name, curves in plots.items():
            several = len(curves) <= MOST_CURVES and any(len(line) > 1 for line in curves.values())
            if several and name.startswith(f"{table.dataset},"):
                parts.append(f"<figure>{curves_svg(name, curves)}</figure>")
        for name, panels in choices.items():
            if name.startswith(f"{table.dataset},"):
                parts.append(f"<figure>{trade_off_svg(f'Accuracy against time, {name}', panels)}</figure>")
    parts.append(_assumptions(results))
    parts.append(_provenance(results))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _section(table: AccuracyTable, cell: Cell) -> str:
    best = [table.best(column) for column in range(len(table.tasks))]
    heads = "".join(f'<th class="number">{escape(task)}</th>' for task in table.tasks)
    rows = []
    for row in table.rows:
        cells = "".join(_number(cell, result, best[column]) for column, result in enumerate(row.cells))
        names = "".join(f"<td>{escape(text)}</td>" for text in (row.backbone, row.learner, ", ".join(row.assumes)))
        rows.append(f"<tr>{names}{cells}</tr>")
    head = f"<tr><th>backbone</th><th>learner</th><th>assumes</th>{heads}</tr>"
    return (
        f'<h2>{escape(table.dataset)}</h2>\n<p class="facts">{escape(table.facts)}</p>\n'
        f"<table><thead>{head}</thead>\n<tbody>{''.join(rows)}</tbody></table>"
    )


def _number(cell: Cell, result: Result | None, best: Result | None) -> str:
    kind = "number best" if result is not None and result is best else "number"
    return f'<td class="{kind}">{escape(cell(result)) if result else ""}</td>'


def _assumptions(results: Sequence[Result]) -> str:
    used = [name for name in ASSUMPTIONS if any(name in assumptions(result.learner) for result in results)]
    return "".join(f"<p><b>{name}</b>: {ASSUMPTIONS[name]}</p>" for name in used)


def _provenance(results: Sequence[Result]) -> str:
    lines = set()
    for result in results:
        made = result.provenance
        packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
        backbone = (
            f"{result.backbone_label} ({result.backbone['precision']}, fingerprint {result.backbone['fingerprint']})"
        )
        lines.add(f"{backbone}: {made['hardware']}; Python {made['python']}, {packages}; {made['date']}")
    return "<h2>Made with</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in sorted(lines)) + "</ul>"
