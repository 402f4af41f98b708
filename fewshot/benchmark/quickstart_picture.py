"""The picture of the quickstart: one task with what was predicted, and accuracy by shots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.report import accuracy_by_shots, draw_curves
from fewshot.benchmark.result import Result
from fewshot.datasets import Dataset, load_dataset
from fewshot.embeddings import embed
from fewshot.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

    from fewshot.backbones import Backbone
    from fewshot.episodes import Episodes
    from fewshot.learners import Learner

RIGHT, WRONG = "#2a7f3f", "#c0392b"
SHOWN_WAYS, SHOWN_QUERIES = 6, 3


def draw_quickstart(
    path: Path, backbone: Backbone, learner: Learner, protocol: Protocol, results: Sequence[Result]
) -> None:
    """Draw the first task of `protocol`, as `learner` answers it, beside the accuracy of all `results` by shots."""
    from matplotlib.figure import Figure

    dataset = load_dataset(protocol.dataset, split=protocol.split)
    table = embed(backbone, dataset, progress=False)
    episode = protocol.sampler(table).sample(1)
    support, query = table.features[episode.support], table.features[episode.query]
    head = learner.fit(support, episode.support_labels, episode.classes.shape[1])
    predicted = head(query).argmax(-1)

    figure = Figure(figsize=(13, 5.2), layout="constrained")
    task, curves = figure.subfigures(1, 2, width_ratios=[1.15, 1])
    _draw_task(task, dataset, episode, predicted)
    plots = accuracy_by_shots(result for result in results if result.protocol.dataset == protocol.dataset)
    title, lines = next(iter(plots.items()))
    axes = curves.subplots()
    draw_curves(axes, lines)
    axes.set_title(title)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def _draw_task(figure: SubFigure, dataset: Dataset, episode: Episodes, predicted: torch.Tensor) -> None:
    """A column a class: its support image on top, then queries framed by whether they were recognised."""
    names = [dataset.class_names[number] for number in episode.classes[0].tolist()]
    grid = figure.subplots(1 + SHOWN_QUERIES, SHOWN_WAYS)
    for way in range(SHOWN_WAYS):
        item = int(episode.support[0][episode.support_labels[0] == way][0])
        _show(grid[0][way], dataset, item, names[way], "black")
        queries = (episode.query_labels[0] == way).nonzero().flatten()[:SHOWN_QUERIES].tolist()
        for row, place in enumerate(queries, start=1):
            answer = int(predicted[0, place])
            text = names[answer]
            _show(grid[row][way], dataset, int(episode.query[0, place]), text, RIGHT if answer == way else WRONG)
    grid[0][0].set_ylabel("support")
    grid[1][0].set_ylabel("queries")
    figure.suptitle(f"{SHOWN_WAYS} of the {len(names)} classes of one task: one support image each, what was predicted")


def _show(axes, dataset: Dataset, item: int, text: str, colour: str) -> None:  # type: ignore[no-untyped-def]
    axes.imshow(dataset[item][0])
    axes.set_title(text if len(text) <= 20 else f"{text[:19]}…", fontsize=8, color=colour)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color=colour, linewidth=2)
