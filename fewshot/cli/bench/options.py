"""Options and argument types that the commands of `fewshot bench` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import with_options

if TYPE_CHECKING:
    from fewshot.learners import Learner

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder of results.",
)


result_filters = with_options(
    click.option("--dataset", default="*", help="Only data sets that match."),
    click.option("--backbone", default="*", help="Only backbones that match."),
    click.option("--learner", default="*", help="Only learners that match."),
    click.option("--task", default="*", help="Only tasks that match, such as '5-way 1-shot'."),
)


class Ways(click.ParamType):
    """A number of classes, or `all`."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An int of 1 or more, or the word."""
        if value == "all" or isinstance(value, int):
            return value
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"must be a number of classes or 'all', found {value!r}", param, ctx)
        return int(value)


def parse_learners(text: str) -> list[Learner]:
    """`all`, `ridge` or `ridge:penalty=10` to learners."""
    from fewshot.learners import create_learner, list_learners, parse_learner

    return [create_learner(name) for name in list_learners()] if text == "all" else [parse_learner(text)]
