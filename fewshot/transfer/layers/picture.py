"""A comparison of layers as a picture: accuracy over depth, with the blend as a line."""

from __future__ import annotations

from pathlib import Path

from fewshot.files import whole_file
from fewshot.transfer.layers.compare import LayerComparison


def draw_layers(comparison: LayerComparison, path: Path, title: str = "") -> None:
    """Write a PNG: one point a layer with its 95 % interval, and the band of the chosen blend."""
    from matplotlib.figure import Figure

    names = list(comparison.accuracies)
    found = [comparison.interval(name) for name in names]
    blend = comparison.interval("blend")
    figure = Figure(figsize=(max(5.0, 0.5 * len(names) + 2), 4), layout="constrained")
    axes = figure.subplots()
    places = range(len(names))
    axes.errorbar(
        places,
        [100 * each.mean for each in found],
        [100 * each.half_width for each in found],
        marker="o",
        capsize=3,
        label="one layer",
    )
    low, high = (100 * (blend.mean + sign * blend.half_width) for sign in (-1, 1))
    axes.axhspan(low, high, color="#c0392b", alpha=0.15)
    axes.axhline(100 * blend.mean, color="#c0392b", label="blend chosen on held-out items")
    axes.set_xticks(places, names, rotation=45, ha="right", fontsize=8)
    axes.set(ylabel="accuracy of a linear probe, %", xlabel="layer, shallow to deep", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)
