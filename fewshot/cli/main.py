"""`fewshot`: the root of all commands. A command's code is loaded when it is called, so `--help` is quick."""

from __future__ import annotations

from typing import Any

import click

from fewshot import __version__
from fewshot.cli.lazy import LazyGroup
from fewshot.errors import FewshotError

COMMANDS = {
    "quickstart": "The main job on data that comes with the install, in about a minute.",
    "backbones": "List and describe pretrained networks.",
    "datasets": "List, describe and check data sets.",
    "learners": "List and describe few-shot learners.",
    "classify": "Classify your own pictures or texts, from a few examples, class names, or both.",
    "zeroshot": "How well class names alone classify a folder or a data set.",
    "transfer": "From a pretrained network to a small data set, and knowing when not to.",
    "index": "Build an index of pictures or texts, search it, and look after it.",
    "embed": "Turn a folder, a zip or a data set into an embedding table.",
    "bench": "Run benchmarks; list, report and compare their results.",
    "train": "Train a backbone across tasks: prototypical networks, MAML and their families.",
    "completion": "Print the line that turns on shell completion.",
}


class Refused(click.ClickException):
    """One line on standard error and exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the message on standard error; `file` is not used."""
        click.echo(f"fewshot: {self.message}", err=True)


class Root(LazyGroup):
    """The root of all commands; errors of the package become one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it refuses becomes one line and exit code 2, an interrupt a word of what is kept."""
        try:
            return super().invoke(ctx)
        except FewshotError as error:
            raise Refused(str(error)) from error
        except KeyboardInterrupt:
            click.echo("fewshot: stopped; what is finished is kept, and the same command goes on from there", err=True)
            raise SystemExit(130) from None


@click.group(
    cls=Root,
    package=__name__.rpartition(".")[0],
    told=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="fewshot")
def main() -> None:
    """Few-shot and zero-shot learning: from a few images to an honest number.

    \b
    Example:
      fewshot quickstart
      fewshot bench run --dataset digits --learner prototypical --shots 1 --shots 5
    """
