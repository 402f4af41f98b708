"""`fewshot bench`: run, list, report, compare."""

import click

from fewshot.cli.bench.results import compare, list_results, report
from fewshot.cli.bench.run import run


@click.group()
def bench() -> None:
    """Run benchmarks; list, report and compare their results.

    \b
    Example:
      fewshot bench run --dataset digits --learner prototypical --learner ridge --shots 1 --shots 5
      fewshot bench report
    """


for command in (run, list_results, report, compare):
    bench.add_command(command)
