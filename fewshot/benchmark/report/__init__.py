"""Reports made from result files and nothing else: for the terminal, as Markdown, as one HTML page with plots."""

from fewshot.benchmark.report.markdown import markdown_report, replace_block
from fewshot.benchmark.report.page import html_report
from fewshot.benchmark.report.plots import accuracy_by_shots, draw_curves
from fewshot.benchmark.report.tables import AccuracyTable, accuracy_tables, percent, percent_and_seconds
from fewshot.benchmark.report.terminal import terminal_report

__all__ = [
    "AccuracyTable",
    "accuracy_by_shots",
    "accuracy_tables",
    "draw_curves",
    "html_report",
    "markdown_report",
    "percent",
    "percent_and_seconds",
    "replace_block",
    "terminal_report",
]
