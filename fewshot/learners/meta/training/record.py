"""What is trained on what: the record that a training keeps, by which it is known again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from torch import nn

from fewshot import __version__
from fewshot.backbones.weights import weights_hash
from fewshot.errors import SplitError
from fewshot.learners.meta.meta_learner import MetaLearner
from fewshot.learners.meta.training.meta_training import MetaTraining

if TYPE_CHECKING:
    from fewshot.datasets import Dataset


def training_record(
    learner: MetaLearner,
    backbone: str,
    model: nn.Module,
    ways: int,
    dataset: Dataset,
    validation: Dataset | None,
    training: MetaTraining,
) -> dict[str, Any]:
    """Learner, network, first weights, data and settings, as JSON will give them back.

    model: before training; ways: outputs of the model where it has one a class.
    """
    record = {
        "learner": learner.facts(),
        "backbone": backbone,
        "initial_weights": weights_hash(model.state_dict()),
        "ways": ways,
        "dataset": _told(dataset),
        "validation": validation and _told(validation),
        "training": asdict(training),
        "version": __version__,
    }
    return json.loads(json.dumps(record))  # lists, not tuples


def check_splits(dataset: Dataset, validation: Dataset | None) -> None:
    """Raise `SplitError` if training and validation of one data set have a class in common."""
    if validation is None or validation.name != dataset.name:
        return
    common = sorted(set(dataset.class_names) & set(validation.class_names))
    if common:
        raise SplitError(
            f"training and validation share {len(common)} classes of {dataset.name}, {common[0]!r} among them; "
            "take splits without common classes"
        )


def _told(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "split": dataset.split,
        "fingerprint": dataset.fingerprint,
        "classes": len(dataset.class_names),
        "items": len(dataset),
    }
