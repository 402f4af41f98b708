"""A classifier of raw images from nothing but class names, with scikit-learn's habits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.embeddings import EmbeddingTable, embed_images
from fewshot.errors import InvalidInput
from fewshot.learners.words import Words
from fewshot.zeroshot.calibration import Calibration, calibrate, calibrate_each
from fewshot.zeroshot.logits import zero_shot_logits
from fewshot.zeroshot.prompts import ClassNames, Texts
from fewshot.zeroshot.templates import Template, TemplateSet, template_set
from fewshot.zeroshot.text_classifier import build_words

if TYPE_CHECKING:
    from fewshot.backbones import Backbone

Images = Sequence[Image.Image | str | Path | np.ndarray] | Tensor | EmbeddingTable

ABSTAINED = ""  # what is predicted where no class is likely enough


class ZeroShotClassifier:
    """Knows its classes by name: `ZeroShotClassifier(backbone, ["cat", "dog"]).predict(images)`.

    backbone: one with a text tower. templates, descriptions and `prompting` (synonyms, background, how, clean, cache,
    progress and more): as `build_words` takes them. Images are PIL images, paths or uint8 arrays (H, W) or (H, W, 3);
    features (N, D) of the same backbone, or a table of them, are taken as well.

    Probabilities are the softmax of (scale f·t + the model's bias) / temperature. `multi_label`: each class by itself,
    by the sigmoid of that logit + `bias`; SigLIP was trained so, while for CLIP temperature and bias must be told
    (temperature=1, bias=-25 puts the middle at a cosine of 0.25) or fitted. `calibrate` fits them on labelled images.

    abstain: an image whose most probable class has less than this is predicted to be "". threshold: the probability
    from which on a class counts as present, for `multi_label`. `classes_` are the names in the order given, with "none
    of these" last where there is a background; `words_` their text vectors; `templates_` describes the templates.
    """

    def __init__(
        self,
        backbone: Backbone,
        classnames: ClassNames,
        templates: str | TemplateSet | Sequence[Template] | None = "simple",
        descriptions: Mapping[str, Texts] | None = None,
        multi_label: bool = False,
        temperature: float | None = None,
        bias: float | None = None,
        abstain: float = 0.0,
        threshold: float = 0.5,
        **prompting: Any,
    ) -> None:
        self.backbone, self.multi_label, self.abstain, self.threshold = backbone, multi_label, abstain, threshold
        self.temperature, self.bias = temperature, bias
        chosen = template_set(templates)
        self.words_: Words = build_words(backbone, classnames, chosen, descriptions, **prompting)
        self.templates_ = chosen.describe()
        self.classes_ = np.asarray(self.words_.names)
        self._check()

    def predict(self, images: Images) -> np.ndarray:
        """The name (N,) of the most probable class of each image; with `multi_label`, bool (N, C), which are there."""
        chances = self.predict_proba(images)
        if self.multi_label:
            return chances >= self.threshold
        names = self.classes_[chances.argmax(1)]
        return np.where(chances.max(1) >= self.abstain, names, ABSTAINED)

    def predict_proba(self, images: Images) -> np.ndarray:
        """Probabilities (N, classes) in the order of `classes_`; each row sums to 1 unless `multi_label`.

        Raises `BrokenImages` naming the images that cannot be read, and `InvalidInput` where CLIP is to judge each
        class by itself with neither bias nor calibration.
        """
        if self.multi_label and self.bias is None and not self.words_.bias:
            raise InvalidInput(
                f"{self.backbone.name} compares classes and has no bias to judge each by itself; pass temperature and "
                "bias, or call calibrate(images, labels)"
            )
        logits = self._logits(images).double() / (self.temperature or 1.0) + (self.bias or 0.0)
        return (logits.sigmoid() if self.multi_label else logits.softmax(1)).cpu().numpy()

    def top_k(self, images: Images, k: int = 5) -> list[list[tuple[str, float]]]:
        """The k most probable classes of each image with their probabilities, the best first; fewer if there are."""
        if k < 1:
            raise InvalidInput(f"k must be 1 or more, found {k}")
        chances = self.predict_proba(images)
        order = np.argsort(-chances, axis=1, kind="stable")[:, :k]
        return [
            [(str(self.classes_[c]), float(row[c])) for c in best] for row, best in zip(chances, order, strict=True)
        ]

    def calibrate(self, images: Images, labels: Sequence[str] | np.ndarray) -> Calibration:
        """Fit temperature, and for `multi_label` bias, on labelled images; they hold from now on.

        labels: a name for each image, or for `multi_label` bool (N, classes). Says the calibration error before, with
        the model's own scale, and after.
        """
        logits = self._logits(images)
        if self.multi_label:
            targets = torch.as_tensor(np.asarray(labels), device=logits.device)
            if targets.dtype != torch.bool or targets.shape != logits.shape:
                raise InvalidInput(f"labels must be bool {tuple(logits.shape)}, found {tuple(targets.shape)}")
            found = calibrate_each(logits, targets)
        else:
            found = calibrate(logits, self._numbers(labels, len(logits)).to(logits.device))
        self.temperature, self.bias = found.temperature, found.bias if self.multi_label else None
        return found

    def score(self, images: Images, labels: Sequence[str] | np.ndarray) -> float:
        """The share of images whose prediction is their name; with `multi_label` the share of right yes and no."""
        predicted = self.predict(images)
        if np.shape(labels) != predicted.shape or not len(predicted):
            raise InvalidInput(f"score needs labels {predicted.shape}, one or more, found {np.shape(labels)}")
        return float(np.mean(predicted == np.asarray(labels)))

    def _logits(self, images: Images) -> Tensor:
        """Logits (N, C) as the model gives them."""
        if isinstance(images, EmbeddingTable):
            self.words_.check_backbone(images.backbone)
            return zero_shot_logits(self.words_, images.features)
        if isinstance(images, np.ndarray) and images.dtype.kind == "f":
            images = torch.from_numpy(images)
        if isinstance(images, Tensor):
            return zero_shot_logits(self.words_, images)
        if isinstance(images, str | Path | Image.Image):
            raise InvalidInput(
                f"images must be a sequence of images, found a single one, {images!r}; put it into a list"
            )
        return zero_shot_logits(self.words_, embed_images(self.backbone, images))

    def _numbers(self, labels: Sequence[str] | np.ndarray, count: int) -> Tensor:
        """The class number (N,) of each name."""
        number = {name: row for row, name in enumerate(self.words_.names)}
        unknown = [label for label in labels if label not in number]
        if unknown or len(labels) != count:
            raise InvalidInput(
                f"calibrate needs one of the {len(number)} class names for each of {count} images, found {len(labels)}"
                + (f" with {unknown[0]!r} among them" if unknown else "")
            )
        return torch.tensor([number[label] for label in labels])

    def _check(self) -> None:
        if len(self.classes_) < 2 and not self.multi_label:
            raise InvalidInput(
                f"one class alone, {self.words_.names[0]!r}, would be the answer to every image; add classes, pass "
                "background='something else', or multi_label=True"
            )
        if self.temperature is not None and not self.temperature > 0:
            raise InvalidInput(f"temperature must be above zero, found {self.temperature}")
        if self.bias is not None and not self.multi_label:
            raise InvalidInput("bias is for multi_label=True; between classes it changes nothing")
        for name in ("abstain", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is a probability, found {getattr(self, name)}")
