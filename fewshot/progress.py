"""One progress bar for all long work: on a terminal it shows; in a log or a pipe it keeps quiet."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Move a bar on by `count`; a `note` stands beside it until the next one."""

    def __call__(self, count: int, note: str = "", /) -> None: ...  # noqa: D102


@contextmanager
def progress_bar(description: str, total: int, done: int = 0, show: bool = True) -> Iterator[Advance]:
    """Yield `advance(n, note)`; the bar on standard error tells count, rate and time left.

    `done` of `total` are finished already (work taken up again). The bar goes away when the work ends.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (show and console.is_terminal)) as progress:
        task = progress.add_task(description, total=total, completed=done, rate="", note="")

        def advance(count: int, note: str = "", /) -> None:
            speed = progress.tasks[0].speed
            note = note or progress.tasks[0].fields["note"]
            progress.update(task, advance=count, rate=f"{speed:,.0f}/s" if speed else "", note=note)

        yield advance
