"""An evaluation as a picture: the confusion matrix, and the pairs of classes that are confused most."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.classify.evaluation import ClassifierEvaluation
from fewshot.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 60  # classes, up to which their names stand at the matrix
WRITTEN = 20  # classes, up to which the numbers stand in it


def draw_evaluation(evaluation: ClassifierEvaluation, path: Path) -> None:
    """Write a PNG: left the matrix, a row a class, in shares of the row; right the most confused pairs."""
    from matplotlib.figure import Figure

    side = min(14.0, max(4.5, 2.5 + 0.28 * len(evaluation.classes)))
    figure = Figure(figsize=(side + 5, side), layout="constrained")
    matrix, pairs = figure.subplots(1, 2, width_ratios=[side, 4])
    _draw_matrix(matrix, evaluation)
    _draw_pairs(pairs, evaluation)
    figure.suptitle(str(evaluation), fontsize=10)
    with whole_file(path) as beside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks
        figure.savefig(beside, format="png", dpi=110)


def _draw_matrix(axes: Axes, evaluation: ClassifierEvaluation) -> None:
    counts = evaluation.confusion
    shares = (counts.double() / counts.sum(1, keepdim=True)).nan_to_num()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    if len(counts) <= NAMED:
        names = [_short(name) for name in evaluation.classes]
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    if len(counts) <= WRITTEN:
        for row, column in counts.nonzero().tolist():
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(int(counts[row, column])), ha="center", va="center", fontsize=7, color=colour)


def _draw_pairs(axes: Axes, evaluation: ClassifierEvaluation) -> None:
    pairs = evaluation.most_confused()[::-1]
    axes.set_title("most confused" if pairs else "nothing was confused", fontsize=9)
    axes.barh(range(len(pairs)), [100 * share for *_, share, _ in pairs], color="#c0392b")
    axes.set_yticks(range(len(pairs)), [f"{_short(name)} → {_short(other)}" for name, other, *_ in pairs], fontsize=7)
    axes.set_xlabel("% of the class")
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str | int, length: int = 22) -> str:
    text = str(name)
    # matplotlib would read two dollar signs as mathematics
    return (text if len(text) <= length else text[: length - 1] + "…").replace("$", r"\$")
