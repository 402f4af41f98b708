"""`fewshot train`: train a backbone across tasks."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import click

from fewshot.cli.output import json_option, print_json, print_rows
from fewshot.cli.train.options import OPTIONS, training_options, write_sections
from fewshot.cli.train.run import run
from fewshot.learners.meta import create_meta_learner, list_meta_learners
from fewshot.registry import summary

HELP = """{what it does}

{paper}

OUT gets the best and the last checkpoint, the log as CSV and the learning curves as a picture. A training that was
stopped goes on when the same command is given again. Several processes share the tasks of a step under torchrun.

\b
Example:
  fewshot train {method} --dataset omniglot --backbone fewshot:conv4-omniglot --out runs/{method} --rotations
"""


class Methods(click.Group):
    """A command for each meta-learner, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """`list`, then every meta-learner by name."""
        return ["list", *list_meta_learners()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        """The command of a meta-learner; an unknown one raises `UnknownName`."""
        return list_command if name == "list" else TrainCommand(name)


class TrainCommand(click.Command):
    """Trains one method; its help has options by section, and the settings of the method."""

    def __init__(self, method: str) -> None:
        self.about = _described(method)
        super().__init__(
            method,
            callback=partial(run, method),
            params=[*OPTIONS, *training_options()],
            help=HELP.format(method=method, **self.about),
            short_help=self.about["what it does"],
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, then the settings of the method with their defaults."""
        write_sections(self, ctx, formatter)
        with formatter.section("Settings of the method, for --set"):
            formatter.write_text(self.about["settings"] or "none")


@click.group(cls=Methods)
def train() -> None:
    """Train a backbone across tasks, so that a few examples of new classes suffice.

    \b
    Example:
      fewshot train protonet --dataset omniglot --backbone fewshot:conv4-omniglot --out runs/protonet --rotations
      fewshot train maml --dataset my/photos --backbone fewshot:conv4 --out runs/maml --set inner_steps=5
      torchrun --nproc-per-node 2 -m fewshot train protonet --dataset cifar-fs --backbone fewshot:conv4 --out runs/two
    """


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the methods, with papers and settings.

    \b
    Example:
      fewshot train list
    """
    rows = [{"method": name, **_described(name)} for name in list_meta_learners()]
    print_json(rows) if as_json else print_rows(rows)


def _described(method: str) -> dict[str, str]:
    learner = create_meta_learner(method)
    settings = ", ".join(f"{name}={value}" for name, value in asdict(learner).items())
    return {"what it does": summary(type(learner)), "paper": learner.paper, "settings": settings}
