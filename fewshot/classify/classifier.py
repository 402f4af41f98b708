"""A classifier of a person's own images or texts, with scikit-learn's habits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fewshot.backbones import Backbone, TextEncoder
from fewshot.classify.class_words import Descriptions, class_words, default_templates, text_fingerprint
from fewshot.classify.examples import Examples
from fewshot.classify.items import Items, Names, distinct_classes, features_of, names_of, refuse_single_item
from fewshot.classify.predictions import Prediction, check_top, top_predictions
from fewshot.classify.preparation import chosen_learner, prepare
from fewshot.classify.temperature import Calibration, calibrate
from fewshot.errors import InvalidInput
from fewshot.learners import BaseStatistics, Head, Learner, Words

if TYPE_CHECKING:
    from fewshot.classify.evaluation import ClassifierEvaluation


class FewShotClassifier:
    """Learns classes from a few images of each, from their names, or from both.

    `FewShotClassifier(backbone).fit(images, names).predict(new_images)`, or, where the backbone has a text half,
    `FewShotClassifier(backbone).fit_names(["cat", "dog"])`.

    backbone: makes the features; a text encoder (`fewshot.create_text_encoder`) makes this a classifier of texts.
    learner: a name or a `Learner`; "auto" goes by declared rules (`fewshot.classify.rules`), and `reason_` says why.
    base: statistics of the backbone's training classes; without them a learner that centres by their mean centres by
        the mean of the images given to `fit`.
    words: `Words` of the classes, or templates to make them of, "simple" or such as "a photo of a {}, a fruit."; None
        for images alone. descriptions: sentences about a class, by its name.

    Images are PIL images, paths or uint8 arrays (H, W) or (H, W, 3), or a `Dataset`. Once fitted, `classes_` are the
    names, sorted, `head_` the fitted head, and `calibration_` the temperature that makes its confidence honest, fitted
    to predictions of the given images while they were held out.

    A transductive learner looks at all images of one `predict` together; "auto" never takes one, since an image would
    then be classified in another way when it comes alone.
    """

    classes_: np.ndarray
    head_: Head
    reason_: str
    calibration_: Calibration
    words_: Words | None
    text_fingerprint_: str | None

    def __init__(
        self,
        backbone: Backbone | TextEncoder,
        learner: str | Learner = "auto",
        base: BaseStatistics | None = None,
        words: Words | str | Sequence[str] | None = None,
        descriptions: Descriptions | None = None,
    ) -> None:
        self.backbone, self.learner, self.base = backbone, learner, base
        self.words, self.descriptions = words, descriptions

    def fit(self, images: Items, names: Names | None = None, unlabelled: Items = ()) -> FewShotClassifier:
        """Learn the classes called `names`, strings or integers, one for each image; what was known is forgotten.

        A `Dataset` brings its names. unlabelled: further images of the classes, for learners that use them. An image
        that is there more than once in its class counts once, with a warning. Raises
        `InvalidInput` for no images, for images and names of different number or names that are neither, for less than
        two classes, for the same image in two classes, for unlabelled images that the learner does not use, and
        `BrokenImages` naming the images that cannot be read.
        """
        found = prepare(self, images, names, unlabelled)
        head, calibration = found.examples.fit(found.learner), calibrate(found.learner, found.examples)
        self._keep(head, found.classes, found.reason, calibration, found.examples.words)
        return self

    def fit_names(self, names: Sequence[str]) -> FewShotClassifier:
        """Learn classes from their names alone; what was known is forgotten.

        Confidence is that of the learner: there is nothing to calibrate it by. Raises `InvalidInput` for a name given
        twice, less than two, a learner that needs images, or a backbone without a text half.
        """
        classes = distinct_classes(names)
        learner, reason = chosen_learner(self, 0, words=True)
        if learner.needs_support:
            raise InvalidInput(f"{learner.name} needs images of the classes and there are only names; use zero-shot")
        templates = self.words or (None if self.descriptions else default_templates(self.backbone))
        words = class_words(self.backbone, templates, classes.tolist(), self.descriptions)
        assert words is not None
        features = torch.zeros(0, words.dim, device=self.backbone.device)
        labels = torch.zeros(0, dtype=torch.int64, device=features.device)
        head = Examples(features, labels, len(classes), words=words).fit(learner)
        self._keep(head, classes, reason, Calibration(), words)
        return self

    def predict(self, images: Items) -> np.ndarray:
        """The name (N,) of the most probable class of each image."""
        best = self.predict_proba(images).argmax(1)
        return self.classes_[best]

    def predict_proba(self, images: Items) -> np.ndarray:
        """Calibrated probabilities (N, classes) in the order of `classes_`; each row sums to 1.

        Raises `InvalidInput` before `fit`, and `BrokenImages` naming the images that cannot be read.
        """
        if not hasattr(self, "head_"):
            raise InvalidInput("this FewShotClassifier has learned no classes yet; call fit(images, names) first")
        refuse_single_item(images)
        if len(images) == 0:
            return np.empty((0, len(self.classes_)))
        with torch.no_grad():
            logits = self.head_(features_of(self.backbone, images)[None])[0].double()
        return (logits / self.calibration_.temperature).softmax(1).cpu().numpy()

    def predict_top(self, images: Items, k: int = 5, abstain: float = 0.0) -> list[Prediction]:
        """For each image its k most probable classes; none of them is its `name` where confidence is below `abstain`.

        Raises `InvalidInput` for k below 1 or a threshold outside [0, 1].
        """
        check_top(k, abstain)
        return top_predictions(self.classes_, self.predict_proba(images), k, abstain)

    def evaluate(
        self, images: Items, names: Names | None = None, repeats: int = 10, test_share: float = 0.2, seed: int = 0
    ) -> ClassifierEvaluation:
        """How well a classifier that is fitted on these images does on others like them; this one stays as it is.

        Few images are left out one at a time; more are split `repeats` times, `test_share` of each class tested.
        """
        from fewshot.classify.evaluate import evaluate_classifier

        return evaluate_classifier(self, images, names, repeats, test_share, seed)

    def score(self, images: Items, names: Names | None = None) -> float:
        """The share of images whose prediction is their name."""
        names = names_of(images, names)
        if len(images) != len(names) or len(images) == 0:
            raise InvalidInput(f"score needs one name an image and one image or more, found {len(images)} images and "
                               f"{len(names)} names")  # fmt: skip
        return float(np.mean(self.predict(images) == np.asarray(names)))

    @property
    def takes_texts(self) -> bool:
        """Whether it classifies texts rather than images."""
        return isinstance(self.backbone, TextEncoder)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments it was made with, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in ("backbone", "learner", "base", "words", "descriptions")}

    def __sklearn_clone__(self) -> FewShotClassifier:
        """What `sklearn.base.clone` calls: an unfitted twin on the same backbone, whose weights stay shared."""
        return type(self)(**self.get_params())

    def set_params(self, **params: Any) -> FewShotClassifier:
        """Change arguments; they count from the next `fit` on."""
        known = list(self.get_params())
        for name, value in params.items():
            if name not in known:
                has = f"{', '.join(known[:-1])} and {known[-1]}"
                raise InvalidInput(f"FewShotClassifier has no argument {name!r}; it has {has}")
            setattr(self, name, value)
        return self

    def save(self, folder: str | Path) -> None:
        """Write what was learned as one folder, whole or not at all; the backbone goes by name and fingerprint."""
        from fewshot.classify.storage import save_classifier

        save_classifier(self, Path(folder))

    @classmethod
    def load(
        cls, folder: str | Path, backbone: Backbone | TextEncoder | None = None, device: str = "auto"
    ) -> FewShotClassifier:
        """A saved classifier, with the backbone it names, made on `device`, or the one given.

        `base` and `words` are not kept: to fit anew, set them. Raises `UnreadableFile` for a folder that is missing,
        damaged or of a later version, and `FingerprintMismatch` when the backbone is not the one it was fitted with.
        """
        from fewshot.classify.storage import load_classifier

        return load_classifier(cls, Path(folder), backbone, device)

    def _keep(
        self, head: Head, classes: np.ndarray, reason: str, calibration: Calibration, words: Words | None
    ) -> None:
        self.head_, self.classes_, self.reason_, self.calibration_ = head, classes, reason, calibration
        self.words_ = words if head.learner.needs_words else None
        self.text_fingerprint_ = text_fingerprint(self.backbone) if self.words_ else None
