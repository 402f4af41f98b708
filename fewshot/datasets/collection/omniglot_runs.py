"""The official one-shot test of Omniglot: 20 runs of 20-way 1-shot, each within one alphabet (Lake et al. 2015)."""

import torch
from torch import Tensor

from fewshot.datasets.dataset import Dataset
from fewshot.datasets.splits import split_list
from fewshot.episodes import Episodes
from fewshot.errors import MissingData


def one_shot_runs(omniglot: Dataset) -> Episodes:
    """The 20 runs as episodes over Omniglot, whole or its split "evaluation": one support and one query image a class.

    Raises `MissingData` for a data set that lacks an image of the runs.
    """
    place = {item.rpartition("/")[2].removesuffix(".png"): index for index, item in enumerate(omniglot.ids)}
    runs = split_list("omniglot_runs")
    missing = [name for run in runs for part in ("support", "query") for name in run[part] if name not in place]
    if missing:
        raise MissingData(
            f"{omniglot.name} ({omniglot.split}) lacks {len(missing)} of the 800 images of the one-shot runs, "
            f'{missing[0]!r} among them; load it with split="evaluation"'
        )
    support, query = (
        torch.tensor([[place[name] for name in run[part]] for run in runs]) for part in ("support", "query")
    )
    classes = omniglot.labels[support]
    return Episodes(
        support,
        query,
        support_labels=torch.arange(classes.shape[1]).expand_as(classes).clone(),
        query_labels=_places(omniglot.labels[query], classes),
        classes=classes,
        settings={"source": "the 20 one-shot runs of Lake et al. 2015"},
    )


def _places(labels: Tensor, classes: Tensor) -> Tensor:
    """The place (T, Q) of each label (T, Q) among the classes (T, W) of its task."""
    return (labels[..., None] == classes[:, None]).long().argmax(2)
