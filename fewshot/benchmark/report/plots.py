"""Accuracy against shots, drawn."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from fewshot.benchmark.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = dict[str, list[Result]]
Styles = dict[str, Any]
STYLES = ("-", "--", ":", "-.")


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
    """Lines of accuracy (per cent) by shots with their 95 % intervals: a colour a learner, a line style a backbone."""
    colours = {name: f"C{place % 10}" for place, name in enumerate(_names(curves, "learner_label"))}
    styles: Styles = {name: STYLES[place % len(STYLES)] for place, name in enumerate(_names(curves, "backbone_label"))}
    for results in curves.values():
        shots = [result.protocol.shots for result in results]
        means = [100 * result.accuracy for result in results]
        look: dict[str, Any] = {
            "color": colours[results[0].learner_label],
            "linestyle": styles[results[0].backbone_label],
        }
        axes.errorbar(shots, means, [100 * result.ci95 for result in results], marker="o", ms=4, capsize=2, **look)
    ticks = sorted({result.protocol.shots for results in curves.values() for result in results})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("shots (support images a class)")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes, colours, styles)


def _names(curves: Curves, kind: str) -> list[str]:
    return list(dict.fromkeys(getattr(results[0], kind) for results in curves.values()))


def _legend(axes: Axes, colours: dict[str, str], styles: Styles) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=colour, marker="o", ms=4, label=name) for name, colour in colours.items()]
    if len(styles) > 1:
        entries += [Line2D([], [], color="black", linestyle=style, label=name) for name, style in styles.items()]
    beside: dict[str, Any] = (
        {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(entries) > 4 else {"loc": "best"}
    )
    title = None if len(styles) > 1 else next(iter(styles))
    axes.legend(handles=entries, title=title, frameon=False, fontsize="small", title_fontsize="small", **beside)


def curves_svg(title: str, curves: Curves) -> str:
    """The plot as an SVG element to be put into a page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    draw_curves(axes, curves)
    axes.set_title(title)
    return as_svg(figure)


def as_svg(figure: Figure) -> str:
    """A figure as an SVG element, the same bytes each time; its text is text."""
    from matplotlib import rc_context

    drawn = BytesIO()
    with rc_context({"svg.hashsalt": "fewshot", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = drawn.getvalue().decode()
    return text[text.index("<svg") :]
