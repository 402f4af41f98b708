"""`fewshot bench`: run, list, report, compare, reproduce."""

import click

from fewshot.cli.bench.reproduce import reproduce
from fewshot.cli.bench.results import compare, list_results, report
from fewshot.cli.bench.run import run


@click.group()
def bench() -> None:
    """Run benchmarks; list, report and compare their results; reproduce papers.

    \b
    Example:
      fewshot bench run --dataset digits --learner prototypical --learner ridge --shots 1 --shots 5
      fewshot bench report
      fewshot bench reproduce --list
    """


for command in (run, list_results, report, compare, reproduce):
    bench.add_command(command)
