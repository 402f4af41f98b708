"""`fewshot index`: an index of pictures or texts that is built, searched, added to and deleted from."""

from importlib import import_module
from importlib.util import find_spec

import click

COMMANDS = {
    "build": "Embed pictures or texts, and build an index that reaches a recall.",
    "add": "Embed and add what is new or has changed.",
    "search": "Find the nearest items to pictures, texts, ids or vectors.",
    "dedup": "List items that are alike.",
    "classify": "Classify pictures by the labelled items they are nearest to.",
    "delete": "Delete items; they are found no more.",
    "compact": "Give back the room of deleted items, and make one segment of all.",
    "verify": "Check every file, every id, and a sample of the items.",
    "info": "Tell what an index is.",
    "export": "Take an index elsewhere.",
}


class Commands(click.Group):
    """Commands found by name in `fewshot.cli.index.<name>`, loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name}")]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(cls=Commands)
def index() -> None:
    """Build an index of pictures or texts, search it, and look after it.

    \b
    Example:
      fewshot index build photos photos.index --backbone bridge:lite0-minilm
      fewshot index search photos.index query.jpg -k 5
      fewshot index add photos.index photos
    """
