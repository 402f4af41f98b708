"""What is trained on what: the record that a training keeps, by which it is known again."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from fewshot import __version__
from fewshot.backbones.weights import weights_hash
from fewshot.errors import InvalidInput, SplitError
from fewshot.learners.meta.meta_learner import MetaLearner
from fewshot.learners.meta.training.checkpoint import check_same
from fewshot.learners.meta.training.meta_training import MetaTraining

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.datasets import Dataset


def training_record(
    learner: MetaLearner,
    backbone: str,
    model: nn.Module,
    ways: int,
    dataset: Dataset,
    validation: Dataset | None,
    training: MetaTraining,
    preprocess: Preprocessing,
) -> dict[str, Any]:
    """Learner, network, first weights, data and settings, as JSON will give them back.

    model: before training; ways: outputs of the model where it has one a class. What the learner's `files` tells is
    kept as `files`, where it reads any; raises what that raises.
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
    record = json.loads(json.dumps(record))  # lists, not tuples
    files = learner.files(record, preprocess)
    return {**record, "files": files} if files else record


def check_record(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise `FingerprintMismatch`, naming what differs, if `out` holds another training than the one asked for.

    A later version may go on. A file that a setting names is known by its content, wherever it lies, or by its path
    where it was not yet fingerprinted.
    """
    found, names = {**found, "version": wanted["version"]}, found.get("files", {}).keys() & wanted.get("files", {})
    check_same(out, _comparable(found, names), _comparable(wanted, names))


def _comparable(record: dict[str, Any], files: Collection[str]) -> dict[str, Any]:
    """The record with the fingerprints of these files, and without their paths."""
    if not files:
        return {name: value for name, value in record.items() if name != "files"}
    settings = {name: value for name, value in record["learner"]["settings"].items() if name not in files}
    return {**record, "learner": {**record["learner"], "settings": settings}}


def check_learner(learner: MetaLearner, dataset: Dataset, training: MetaTraining) -> None:
    """Raise `InvalidInput` for a learner that cannot be trained on such a data set, or not in this way."""
    if learner.regression:
        raise InvalidInput(f"{learner.name} is trained on numbers, and {dataset.name} has classes")
    if training.within and not learner.episodic:
        raise InvalidInput(
            f"{learner.name} is trained on labelled batches of all classes, and cannot keep tasks within one "
            f"{training.within!r}; leave within out, or train a learner of tasks"
        )


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
