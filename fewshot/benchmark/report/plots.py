"""Accuracy against shots, drawn."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from fewshot.benchmark.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curves = dict[str, list[Result]]


def accuracy_by_shots(results: Iterable[Result]) -> dict[str, Curves]:
    """For each data set and way, for each backbone and learner, its results in the order of shots."""
    plots: dict[str, Curves] = {}
    for result in sorted(results, key=lambda result: result.protocol.shots):
        protocol = result.protocol
        title = f"{protocol.dataset} ({protocol.split}), {protocol.task.replace(f' {protocol.shots}-shot', '')}"
        label = f"{result.backbone_label.rpartition(':')[2]} · {result.learner_label}"
        plots.setdefault(title, {}).setdefault(label, []).append(result)
    return plots


def draw_curves(axes: Axes, curves: Curves) -> None:
    """Lines of accuracy (per cent) by shots with their 95 % intervals, on `axes`."""
    for label, results in curves.items():
        shots = [result.protocol.shots for result in results]
        means = [100 * result.accuracy for result in results]
        axes.errorbar(shots, means, [100 * result.ci95 for result in results], label=label, marker="o", ms=4, capsize=2)
    ticks = sorted({result.protocol.shots for results in curves.values() for result in results})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("shots (support images a class)")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")


def curves_svg(title: str, curves: Curves) -> str:
    """The plot as an SVG element to be put into a page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    draw_curves(axes, curves)
    axes.set_title(title)
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = drawn.getvalue().decode()
    return text[text.index("<svg") :]
