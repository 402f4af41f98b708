"""The picture of the quickstart: one task with what was predicted, and accuracy by shots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.report import accuracy_by_shots, draw_curves
from fewshot.benchmark.result import Result
from fewshot.datasets import Dataset, load_dataset
from fewshot.embeddings import embed
from fewshot.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from fewshot.backbones import Backbone
    from fewshot.episodes import Episodes
    from fewshot.learners import Learner

RIGHT, WRONG = "#2a7f3f", "#c0392b"
ROWS, COLUMNS = 4, 6


def draw_quickstart(
    path: Path, backbone: Backbone, learner: Learner, protocol: Protocol, results: Sequence[Result]
) -> None:
    """Draw the first task of `protocol`, as `learner` answers it, beside the accuracy by shots in `results`."""
    from matplotlib.figure import Figure

    dataset = load_dataset(protocol.dataset, split=protocol.split)
    table = embed(backbone, dataset, progress=False)
    episode = protocol.sampler(table).sample(1)
    head = learner.fit(table.features[episode.support], episode.support_labels, episode.ways)
    predicted = head(table.features[episode.query]).argmax(-1)

    figure = Figure(figsize=(13, 5.2), layout="constrained")
    task, curves = np.asarray(figure.subfigures(1, 2, width_ratios=[1.15, 1]))
    _draw_task(task, dataset, episode, predicted[0].tolist())
    title, lines = max(accuracy_by_shots(results).items(), key=lambda plot: max(map(len, plot[1].values())))
    axes = curves.subplots()
    draw_curves(axes, lines)
    axes.set_title(title)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def _draw_task(figure: SubFigure, dataset: Dataset, episode: Episodes, predicted: list[int]) -> None:
    """A support image of each class with its name, and below it queries with what they were taken for."""
    names = [dataset.class_names[number] for number in episode.classes[0].tolist()]
    grid = figure.subplots(ROWS, COLUMNS)
    queries_shown = min(int((episode.query_labels[0] == 0).sum()), ROWS - 1)
    height = 1 + queries_shown
    for way in range(min(COLUMNS * (ROWS // height), len(names))):
        column, top = way % COLUMNS, height * (way // COLUMNS)
        support = episode.support[0][episode.support_labels[0] == way]
        _show(grid[top][column], dataset, int(support[0]), names[way], "black")
        places = (episode.query_labels[0] == way).nonzero().flatten()[:queries_shown].tolist()
        for row, place in enumerate(places, start=top + 1):
            right = predicted[place] == way
            query = int(episode.query[0, place])
            _show(grid[row][column], dataset, query, names[predicted[place]], RIGHT if right else WRONG)
    for axes in grid.flat:
        axes.set_axis_off() if not axes.images else None
    figure.suptitle(f"one {len(names)}-way task: support images in black, queries with what they were taken for")


def _show(axes: Axes, dataset: Dataset, item: int, text: str, colour: str) -> None:
    axes.imshow(dataset[item][0])
    axes.set_title("\n".join(wrap(text, 20)[:2]), fontsize=8, color=colour)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color=colour, linewidth=2)
