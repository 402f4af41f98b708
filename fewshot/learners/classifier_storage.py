"""A fitted `FewShotClassifier` as a folder: `head.safetensors`, `classifier.json`, and the weights of its learner."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from fewshot.errors import FingerprintMismatch, InvalidInput, MissingWeights, UnreadableFile
from fewshot.files import read_json, whole_folder, write_json
from fewshot.learners.learner import Head
from fewshot.learners.registry import create_learner
from fewshot.learners.trained import TrainedLearner

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.learners.classifier import FewShotClassifier

FORMAT, VERSION = "fewshot.FewShotClassifier", 1
WEIGHTS = "learner.safetensors"  # of a learner that was trained


def save_classifier(classifier: FewShotClassifier, folder: Path) -> None:
    """See `FewShotClassifier.save`."""
    from safetensors.torch import save_file

    if not hasattr(classifier, "head_"):
        raise InvalidInput("this FewShotClassifier has learned no classes yet; call fit(images, names) before save")
    head, backbone = classifier.head_, classifier.backbone
    content = {
        "format": FORMAT,
        "version": VERSION,
        "learner": {key: head.learner.facts()[key] for key in ("name", "settings")},
        "classes": classifier.classes_.tolist(),
        "backbone": {
            "name": backbone.name,
            "fingerprint": backbone.fingerprint,
            "precision": backbone.precision,
            "layers": None if backbone.layers is None else list(backbone.layers),
        },
    }
    with whole_folder(folder) as beside:
        if isinstance(head.learner, TrainedLearner):
            shutil.copyfile(head.learner.weights, beside / WEIGHTS)
        save_file(
            {name: tensor.contiguous() for name, tensor in head.state_dict().items()}, beside / "head.safetensors"
        )
        write_json(beside / "classifier.json", content)


def load_classifier(kind: type[FewShotClassifier], folder: Path, backbone: Backbone | None) -> FewShotClassifier:
    """See `FewShotClassifier.load`."""
    content = read_json(folder / "classifier.json")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableFile(f"{folder} holds no FewShotClassifier")
    if content["version"] > VERSION:
        raise UnreadableFile(f"{folder} is of version {content['version']}, this fewshot reads {VERSION}: upgrade it")
    state = _read_tensors(folder / "head.safetensors")
    try:
        made_with, classes = content["backbone"], np.asarray(content["classes"])
        settings = content["learner"]["settings"]
        if (folder / WEIGHTS).exists():
            settings["weights"] = str(folder / WEIGHTS)
        learner = create_learner(content["learner"]["name"], **settings)
        if tuple(state["present"].shape) != (1, len(classes)):
            raise UnreadableFile(f"{folder} names {len(classes)} classes and its head has others; it was damaged")
        backbone = backbone or _create(made_with)
        _check_same(backbone, made_with, folder)
    except (KeyError, TypeError) as error:
        raise UnreadableFile(f"{folder} lacks {error}; it was damaged") from None
    classifier = kind(backbone, learner)
    classifier.head_, classifier.classes_ = Head(learner, state).to(backbone.device), classes
    return classifier


def _create(made_with: dict[str, Any]) -> Backbone:
    from fewshot.backbones import create_backbone

    try:
        return create_backbone(made_with["name"], precision=made_with["precision"], layers=made_with["layers"])
    except MissingWeights as error:
        raise MissingWeights(f"{error}; or load the classifier with backbone= as it was fitted") from None


def _check_same(backbone: Backbone, made_with: dict[str, Any], folder: Path) -> None:
    if backbone.fingerprint != made_with["fingerprint"]:
        raise FingerprintMismatch(
            f"{folder} was fitted with {made_with['name']} ({made_with['fingerprint']}, {made_with['precision']}) and "
            f"{backbone.name} is {backbone.fingerprint}; pass backbone= with the same weights, precision and layers"
        )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist; the classifier is not whole") from None
    except (SafetensorError, OSError) as error:
        raise UnreadableFile(f"{path} is damaged ({error})") from None
