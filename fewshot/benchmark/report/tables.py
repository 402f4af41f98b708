"""Results laid out for reading: one table a data set, a row for each backbone and learner, a column for each task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot.benchmark.result import Result

ASSUMPTIONS = {
    "transductive": "sees all queries of a task at once",
    "streaming": "sees the queries one after the other and learns from those before",
    "assumes_balanced_queries": "assumes equally many queries a class",
    "needs_base_mean": "uses the mean of base classes",
    "needs_base_classes": "uses the features of base classes",
    "trained": "has trained weights of its own",
    "needs_words": "classifies by words",
}


Cell = Callable[[Result], str]


@dataclass(frozen=True)
class Row:
    """One backbone and learner: `cells` has a result or None for each task of the table."""

    backbone: str
    learner: str
    assumes: tuple[str, ...]
    cells: tuple[Result | None, ...]


@dataclass(frozen=True)
class AccuracyTable:
    """The results on one data set and split; `tasks` are the column heads, `shared` what is true of all of them."""

    dataset: str
    tasks: tuple[str, ...]
    rows: tuple[Row, ...]
    shared: str = ""

    def best(self, column: int) -> Result | None:
        """The most accurate result of a column."""
        found = [cell for row in self.rows if (cell := row.cells[column])]
        return max(found, key=lambda result: result.accuracy, default=None)

    @property
    def facts(self) -> str:
        """Classes, items, tasks and seed that the numbers stand on, in a sentence."""
        results = [cell for row in self.rows for cell in row.cells if cell]
        first = results[0]
        episodes = _span(result.protocol.episodes for result in results)
        seeds = _span(result.protocol.seed for result in results)
        images = f"{first.dataset['classes']:,} classes, {first.dataset['items']:,} images; "
        shared = f"; {self.shared}" if self.shared else ""
        if first.protocol.pool:
            tested = "on all test images of its half" if first.protocol.half else "on all test images"
            return f"{images}{episodes} draws of the support, each tested {tested}, seed {seeds}{shared}"
        queries = _span(result.protocol.queries for result in results)
        queries += " query" if queries == "1" else " queries"
        return f"{images}{episodes} episodes a number, {queries} a class, seed {seeds}{shared}"


def accuracy_tables(results: Iterable[Result]) -> list[AccuracyTable]:
    """Tables in the order of data sets, rows by backbone and learner, columns by ways and shots."""
    by_dataset: dict[str, list[Result]] = {}
    for result in results:
        name = f"{result.protocol.dataset} ({result.protocol.split})"
        by_dataset.setdefault(name, []).append(result)
    return [_table(name, found) for name, found in sorted(by_dataset.items())]


def percent(result: Result) -> str:
    """`62.31 ± 0.41`, in per cent."""
    return f"{100 * result.accuracy:.2f} ± {100 * result.ci95:.2f}"


def percent_and_seconds(result: Result) -> str:
    """`62.31 ± 0.41 (2.4 s)`, in per cent, with the seconds that 1,000 tasks took."""
    seconds = seconds_per_thousand(result)
    return f"{percent(result)} ({seconds:.{2 if seconds < 1 else 1 if seconds < 10 else 0}f} s)"


def seconds_per_thousand(result: Result) -> float:
    """Seconds that 1,000 tasks take at the speed measured."""
    return 1000 * result.evaluation["seconds"] / result.protocol.episodes


def assumptions(learner: Mapping[str, Any]) -> tuple[str, ...]:
    """What a learner's description says it assumes, as the names of `ASSUMPTIONS`; streaming is told as that alone."""
    told = {name for name in ASSUMPTIONS if learner.get(name)}
    return tuple(name for name in ASSUMPTIONS if name in told - ({"transductive"} if "streaming" in told else set()))


def _table(name: str, results: list[Result]) -> AccuracyTable:
    columns = sorted({_column(result) for result in results})
    heads, shared = _without_shared([column[-1] for column in columns])
    cells: dict[tuple[str, str], dict[tuple, Result]] = {}
    for result in results:
        cells.setdefault((result.backbone_label, result.learner_label), {})[_column(result)] = result
    rows = []
    for (backbone, learner), found in sorted(cells.items()):
        assumes = assumptions(next(iter(found.values())).learner)
        rows.append(Row(backbone, learner, assumes, tuple(found.get(column) for column in columns)))
    return AccuracyTable(name, heads, tuple(rows), shared)


def _column(result: Result) -> tuple[float, int, str]:
    protocol = result.protocol
    return float("inf") if protocol.ways == "all" else protocol.ways, protocol.shots, protocol.task


def _without_shared(tasks: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The tasks without what comes after ways and shots where that is the same for several, and that."""
    rests = {task.partition(", ")[2] for task in tasks}
    if len(tasks) == 1 or len(rests) > 1:
        return tuple(tasks), ""
    return tuple(task.partition(", ")[0] for task in tasks), rests.pop()


def _span(values: Iterable[int]) -> str:
    return " or ".join(f"{value:,}" for value in sorted(set(values)))
