"""Accuracy against seconds, drawn: which learners are worth their time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fewshot.benchmark.report.tables import seconds_per_thousand
from fewshot.benchmark.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Panels = dict[str, list[Result]]
FEWEST = 4  # learners: below, there is no choice to draw


def trade_offs(results: Iterable[Result]) -> dict[str, Panels]:
    """For each data set and backbone, the results of each task, where enough learners were timed on it."""
    plots: dict[str, Panels] = {}
    for result in results:
        protocol = result.protocol
        title = f"{protocol.dataset} ({protocol.split}), {result.backbone_label.rpartition(':')[2]}"
        plots.setdefault(title, {}).setdefault(protocol.task, []).append(result)
    kept = {
        title: {task: found for task, found in panels.items() if len(found) >= FEWEST}
        for title, panels in plots.items()
    }
    return {title: panels for title, panels in kept.items() if panels}


def worth_their_time(results: Sequence[Result]) -> list[Result]:
    """The results that no faster one beats, from the fastest to the most accurate."""
    front: list[Result] = []
    for result in sorted(results, key=lambda result: (seconds_per_thousand(result), -result.accuracy)):
        if not front or result.accuracy > front[-1].accuracy:
            front.append(result)
    return front


def trade_off_svg(title: str, panels: Panels) -> str:
    """The plots of one data set as an SVG element to be put into a page."""
    from matplotlib.figure import Figure

    from fewshot.benchmark.report.plots import as_svg

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 4 * rows + 0.3), layout="constrained")
    for place, (task, results) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw_trade_off(axes, results)
        axes.set_title(task, fontsize="medium")
    figure.suptitle(title)
    return as_svg(figure)


def draw_trade_off(axes: Axes, results: Sequence[Result]) -> None:
    """Points of accuracy (per cent) by seconds; those worth their time are joined and named."""
    front = worth_their_time(results)
    groups: dict[str, tuple[bool, dict[str, Any]]] = {
        "each query alone": (False, {"color": "C0", "marker": "o"}),
        "queries together": (True, {"color": "C1", "marker": "^"}),
    }
    for label, (transductive, look) in groups.items():
        shown = [result for result in results if bool(result.learner.get("transductive")) is transductive]
        if shown:
            axes.scatter(*_points(shown), s=18, label=label, **look)
    axes.plot(*_points(front), color="grey", lw=0.8, zorder=0)
    for result in front:
        axes.annotate(
            result.learner_label,
            (seconds_per_thousand(result), 100 * result.accuracy),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            fontsize="x-small",
        )
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.set_xlabel("seconds for 1,000 tasks")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="lower right")


def _points(results: Sequence[Result]) -> tuple[list[float], list[float]]:
    return [seconds_per_thousand(result) for result in results], [100 * result.accuracy for result in results]
