"""`fewshot bench reproduce`: a paper's experiment, run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fewshot.cli.arguments import device_option
from fewshot.cli.output import json_option, print_facts, print_json, print_rows, told_warnings
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.benchmark.experiments import AnyExperiment


@click.command()
@click.argument("experiment", required=False)
@click.option("--list", "only_list", is_flag=True, help="List the experiments, with the papers' numbers and ours.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of checkpoints, log and result; by default experiments/EXPERIMENT.",
)
@click.option("--steps", type=click.IntRange(1), help="For a quick look: at most so many training steps.")
@click.option(
    "--tasks", type=click.IntRange(2), help="For a quick look: at most so many tasks (or draws) an evaluation."
)
@device_option
@click.option("--record", is_flag=True, help="For maintainers: write the result into the experiment's file.")
@json_option
def reproduce(
    experiment: str | None,
    only_list: bool,
    out: Path | None,
    steps: int | None,
    tasks: int | None,
    device: str,
    record: bool,
    as_json: bool,
) -> None:
    """Train or adapt, and test, as EXPERIMENT says, and show its paper's numbers beside what came out.

    A stopped run goes on when the same command is given again. The experiments are files of the package,
    fewshot/benchmark/experiments; with --list, EXPERIMENT is a pattern, and where one matches, its paper and how it is
    done here are told too. An experiment on frozen features trains no network: it is run on each of its data sets, and
    one of domain adaptation from each source to its target.

    \b
    Example:
      fewshot bench reproduce --list
      fewshot bench reproduce --list 'maml/*'
      fewshot bench reproduce protonet/snell2017_omniglot
      fewshot bench reproduce protonet/snell2017_omniglot --steps 100 --tasks 50
    """
    from dataclasses import replace
    from typing import Any, cast

    from fewshot.benchmark import experiments

    if only_list:
        _show([experiments.load_experiment(name) for name in experiments.list_experiments(experiment or "*")], as_json)
        return
    if experiment is None:
        raise InvalidInput("name an experiment, or see fewshot bench reproduce --list")
    quick = steps is not None or tasks is not None
    if record and quick:
        raise InvalidInput("a quick look is not recorded; leave out --record, or --steps and --tasks")
    chosen = experiments.shortened(experiments.load_experiment(experiment), steps, tasks)
    with told_warnings():
        ours = experiments.reproduce(
            experiment, out or _folder(experiment, steps, tasks), steps, tasks, device, progress=not as_json
        )
    _show([replace(cast(Any, chosen), ours=ours)], as_json)
    if record:
        click.echo(f"recorded in {experiments.record(experiment, ours)}", err=True)


def _show(found: list[AnyExperiment], as_json: bool) -> None:
    from fewshot.benchmark.experiments import experiment_facts, experiment_rows, told_rows

    if as_json:
        print_json(experiment_rows(found))
        return
    if len(found) == 1:
        print_facts(experiment_facts(found[0]))
    print_rows(told_rows(found))


def _folder(experiment: str, steps: int | None, tasks: int | None) -> Path:
    """A quick look has a folder of its own, since it is another training."""
    shorter = [f"{count}_{what}" for count, what in ((steps, "steps"), (tasks, "tasks")) if count is not None]
    return Path("experiments") / "_".join([experiment, *shorter])
