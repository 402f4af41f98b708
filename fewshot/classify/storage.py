"""A fitted `FewShotClassifier` as a folder: `head.safetensors`, `classifier.json`, and the weights of its learner."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fewshot.backbones import Backbone, TextEncoder
from fewshot.classify.class_words import text_fingerprint
from fewshot.classify.temperature import Calibration
from fewshot.errors import FingerprintMismatch, InvalidInput, MissingWeights, UnreadableFile
from fewshot.files import read_json, whole_folder, write_json
from fewshot.learners import Head, TrainedLearner, create_learner

if TYPE_CHECKING:
    from fewshot.classify.classifier import FewShotClassifier

FORMAT, VERSION = "fewshot.FewShotClassifier", 2  # version 1 had no calibration and no words
WEIGHTS = "learner.safetensors"  # of a learner that was trained


def save_classifier(classifier: FewShotClassifier, folder: Path) -> None:
    """Write head, learner, classes and calibration to `folder`, whole or not at all; the backbone only by name.

    Raises `InvalidInput` for a classifier that has not been fitted, and for a folder with other things in it.
    """
    from safetensors.torch import save_file

    if not hasattr(classifier, "head_"):
        raise InvalidInput("this FewShotClassifier has learned no classes yet; call fit(images, names) before save")
    check_replaceable(folder)
    head = classifier.head_
    content = {
        "format": FORMAT,
        "version": VERSION,
        "learner": {key: head.learner.facts()[key] for key in ("name", "settings")},
        "reason": classifier.reason_,
        "classes": classifier.classes_.tolist(),
        "backbone": _facts_of(classifier.backbone),
        "text_fingerprint": classifier.text_fingerprint_,
        "calibration": asdict(classifier.calibration_),
    }
    with whole_folder(folder) as beside:
        if isinstance(head.learner, TrainedLearner):
            shutil.copyfile(head.learner.weights, beside / WEIGHTS)
        save_file(
            {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in head.state_dict().items()},
            beside / "head.safetensors",
        )
        write_json(beside / "classifier.json", content)


def check_replaceable(folder: Path) -> None:
    """Raise `InvalidInput` for a folder with other things in it, which a classifier would take the place of."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / "classifier.json").is_file()):
        raise InvalidInput(f"{folder} is there and holds no classifier, so it is not replaced; give a new folder")


def load_classifier(
    kind: type[FewShotClassifier], folder: Path, backbone: Backbone | TextEncoder | None, device: str
) -> FewShotClassifier:
    """Open `folder`; backbone: what made the features, None to make it again by its name.

    Raises `UnreadableFile` for what is missing, damaged or of a later version, and `FingerprintMismatch` for a backbone
    other than the classifier was made with.
    """
    content = read_json(folder / "classifier.json")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableFile(f"{folder} holds no FewShotClassifier")
    state = _read_tensors(folder / "head.safetensors")
    try:
        if content["version"] > VERSION:
            raise UnreadableFile(
                f"{folder} is of version {content['version']}, this fewshot reads {VERSION}: upgrade it"
            )
        made_with, classes = content["backbone"], np.asarray(content["classes"])
        settings = content["learner"]["settings"]
        if (folder / WEIGHTS).exists():
            settings["weights"] = str(folder / WEIGHTS)
        learner = create_learner(content["learner"]["name"], **settings)
        if tuple(state["present"].shape) != (1, len(classes)):
            raise UnreadableFile(f"{folder} names {len(classes)} classes and its head has others; it was damaged")
        calibration = Calibration(**content.get("calibration", {}))
        backbone = backbone or _create(made_with, device)
        _check_same(backbone, made_with, content.get("text_fingerprint"), folder)
    except (KeyError, TypeError) as error:
        raise UnreadableFile(f"{folder} lacks {error}; it was damaged") from None
    classifier = kind(backbone, learner)
    classifier.head_, classifier.classes_ = Head(learner, state).to(backbone.device), classes
    classifier.calibration_, classifier.reason_ = calibration, content.get("reason", "loaded")
    classifier.words_, classifier.text_fingerprint_ = None, content.get("text_fingerprint")
    return classifier


def _facts_of(backbone: Backbone | TextEncoder) -> dict[str, Any]:
    facts = {"name": backbone.name, "fingerprint": backbone.fingerprint, "precision": backbone.precision}
    if isinstance(backbone, TextEncoder):
        return {"takes": "texts", **facts}
    return {"takes": "images", **facts, "layers": None if backbone.layers is None else list(backbone.layers)}


def _create(made_with: dict[str, Any], device: str) -> Backbone | TextEncoder:
    from fewshot.backbones import create_backbone, create_text_encoder

    name, precision = made_with["name"], made_with["precision"]
    try:
        if made_with.get("takes") == "texts":
            return create_text_encoder(name, device=device, precision=precision)
        return create_backbone(name, device=device, precision=precision, layers=made_with["layers"])
    except MissingWeights as error:
        raise MissingWeights(f"{error}; or load the classifier with backbone= as it was fitted") from None


def _check_same(
    backbone: Backbone | TextEncoder, made_with: dict[str, Any], text_half: str | None, folder: Path
) -> None:
    if backbone.fingerprint != made_with["fingerprint"]:
        raise FingerprintMismatch(
            f"{folder} was fitted with {made_with['name']} ({made_with['fingerprint']}, {made_with['precision']}) and "
            f"{backbone.name} is {backbone.fingerprint}; pass backbone= with the same weights, precision and layers"
        )
    found = text_fingerprint(backbone)
    if text_half and found and found != text_half:
        raise FingerprintMismatch(
            f"{folder} knows its classes by words of text encoder {text_half} and that of {backbone.name} is "
            f"{found}; pass backbone= with the same text half"
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
