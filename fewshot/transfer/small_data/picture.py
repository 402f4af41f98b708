"""The learning curve drawn: measured points with intervals, the fitted law, and how far it can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewshot.errors import MissingPackage
from fewshot.files import whole_file
from fewshot.transfer.small_data.extrapolation import Extrapolation, Goal


def draw_learning_curve(
    path: Path, extrapolation: Extrapolation, title: str = "", goals: tuple[Goal, ...] = ()
) -> None:
    """Write a PNG; the law goes on to four times the largest number of shots measured."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("matplotlib", "a picture of the learning curve") from None
    curve = extrapolation.curve
    ticks = [*curve.shots, 2 * curve.shots[-1], 4 * curve.shots[-1]]
    reach = np.geomspace(ticks[0], ticks[-1], 60).tolist()
    foretold = [extrapolation.accuracy(shots) for shots in reach]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(reach, [100 * f.low for f in foretold], [100 * f.high for f in foretold], alpha=0.2, lw=0)
    axes.plot(reach, [100 * f.value for f in foretold], label="power law and 95 % of its resamples")
    means = [100 * found.mean for found in curve.intervals]
    widths = [100 * found.half_width for found in curve.intervals]
    axes.errorbar(list(curve.shots), means, widths, fmt="o", ms=4, capsize=2, color="black", label="measured")
    for goal in goals:
        axes.axhline(100 * goal.accuracy, ls=":", color="grey")
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("shots (labels a class)")
    axes.set_ylabel("accuracy (%)")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)
