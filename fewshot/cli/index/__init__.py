"""`fewshot index`: an index of pictures or texts that is built, searched, added to and deleted from."""

import click

from fewshot.cli.lazy import LazyGroup

COMMANDS = {
    "build": "Embed pictures or texts, and build an index that reaches a recall.",
    "add": "Embed and add what is new or has changed.",
    "search": "Find the nearest items to pictures, texts, ids or vectors.",
    "dedup": "List items that are alike.",
    "classify": "Classify pictures by the labelled items they are nearest to.",
    "delete": "Delete items; they are found no more.",
    "compact": "Give back the room of deleted items, and make one segment of all.",
    "merge": "Make one segment of all on disk, without having it in memory.",
    "verify": "Check every file, every id, and a sample of the items.",
    "info": "Tell what an index is.",
    "export": "Take an index elsewhere.",
}


@click.group(cls=LazyGroup, package=__name__, told=COMMANDS)
def index() -> None:
    """Build an index of pictures or texts, search it, and look after it.

    \b
    Example:
      fewshot index build photos photos.index --backbone bridge:lite0-minilm
      fewshot index search photos.index query.jpg -k 5
      fewshot index add photos.index photos
    """
