"""A few-shot classifier of raw images, with scikit-learn's habits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.choice import Base, choose_learner
from fewshot.learners.learner import Head, Learner
from fewshot.learners.registry import create_learner, parse_learner

if TYPE_CHECKING:
    from fewshot.backbones import Backbone

Images = Sequence[Image.Image | str | Path | np.ndarray]
Names = Sequence[str] | Sequence[int] | np.ndarray


class FewShotClassifier:
    """Learns classes from a few images of each: `FewShotClassifier(backbone).fit(images, names).predict(new_images)`.

    backbone makes the features; learner, a name or a `Learner`, makes the classifier; "auto" is the one that measured
    best for as many images a class as are given (`choose_learner`), and `reason_` says why. base holds the statistics
    of the backbone's training classes; without it a learner that centres by their mean centres by the mean of the
    images given to `fit`. Images are PIL images, paths or uint8 arrays (H, W) or (H, W, 3). Once fitted, `classes_` are
    the names, sorted, and `head_` the fitted head.

    A transductive learner looks at all images of one `predict` together; "auto" never takes one, since an image would
    then be classified in another way when it comes alone.
    """

    classes_: np.ndarray
    head_: Head
    reason_: str

    def __init__(
        self, backbone: Backbone, learner: str | Learner = "prototypical", base: BaseStatistics | None = None
    ) -> None:
        self.backbone, self.learner, self.base = backbone, learner, base

    def fit(self, images: Images, names: Names, unlabelled: Images = ()) -> FewShotClassifier:
        """Learn the classes called `names`, strings or integers, one for each image; what was known is forgotten.

        unlabelled: further images of the classes, without names, for learners that use them. Raises `InvalidInput` for
        no images, for images and names of different number or names that are neither, for less than two classes, for
        unlabelled images that the learner does not use, and `BrokenImages` naming the images that cannot be read.
        """
        classes, labels = _classes(images, names)
        if self.base is not None and self.base.backbone not in ("", self.backbone.fingerprint):
            raise FingerprintMismatch(
                f"base was made with backbone {self.base.backbone} and the classifier uses {self.backbone.fingerprint} "
                f"({self.backbone.name}); make both with the same"
            )
        learner, reason = self._chosen(labels)
        learner.check_backbone(self.backbone.fingerprint)
        support = self._features(images)
        base = self.base
        if base is None and learner.needs_base_mean:
            base = BaseStatistics.from_features(support[0])
        extra = self._features(unlabelled) if len(unlabelled) else None
        self.head_ = learner.fit(support, labels[None].to(support.device), len(classes), base, unlabelled=extra)
        self.classes_, self.reason_ = classes, reason
        return self

    def predict(self, images: Images) -> np.ndarray:
        """The name (N,) of the most probable class of each image."""
        best = self.predict_proba(images).argmax(1)
        return self.classes_[best]

    def predict_proba(self, images: Images) -> np.ndarray:
        """Probabilities (N, classes) in the order of `classes_`; each row sums to 1.

        Raises `InvalidInput` before `fit`, and `BrokenImages` naming the images that cannot be read.
        """
        if not hasattr(self, "head_"):
            raise InvalidInput("this FewShotClassifier has learned no classes yet; call fit(images, names) first")
        if len(images) == 0:
            return np.empty((0, len(self.classes_)))
        with torch.no_grad():
            return self.head_(self._features(images))[0].double().softmax(1).cpu().numpy()

    def score(self, images: Images, names: Names) -> float:
        """The share of images whose prediction is their name."""
        if len(images) != len(names) or len(images) == 0:
            raise InvalidInput(f"score needs one name an image and one image or more, found {len(images)} images and "
                               f"{len(names)} names")  # fmt: skip
        return float(np.mean(self.predict(images) == np.asarray(names)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments it was made with, as scikit-learn asks for them."""
        return {"backbone": self.backbone, "learner": self.learner, "base": self.base}

    def __sklearn_clone__(self) -> FewShotClassifier:
        """What `sklearn.base.clone` calls: an unfitted twin on the same backbone, whose weights stay shared."""
        return type(self)(**self.get_params())

    def set_params(self, **params: Any) -> FewShotClassifier:
        """Change arguments; they count from the next `fit` on."""
        for name, value in params.items():
            if name not in self.get_params():
                raise InvalidInput(f"FewShotClassifier has no argument {name!r}; it has backbone, learner and base")
            setattr(self, name, value)
        return self

    def save(self, folder: str | Path) -> None:
        """Write what was learned as one folder, whole or not at all; the backbone goes by name and fingerprint."""
        from fewshot.learners.classifier_storage import save_classifier

        save_classifier(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, backbone: Backbone | None = None) -> FewShotClassifier:
        """A saved classifier, with the backbone it names or the one given.

        `base` is not kept: to fit anew, set it. Raises `UnreadableFile` for a folder that is missing, damaged or of a
        later version, and `FingerprintMismatch` when the backbone is not the one it was fitted with.
        """
        from fewshot.learners.classifier_storage import load_classifier

        return load_classifier(cls, Path(folder), backbone)

    def _chosen(self, labels: Tensor) -> tuple[Learner, str]:
        """The learner for images with these labels (N,), and why it is this one."""
        if isinstance(self.learner, Learner):
            return self.learner, "given"
        if self.learner != "auto":
            return create_learner(self.learner), "asked for by name"
        known: Base = "none" if self.base is None else "mean" if self.base.labels is None else "classes"
        choice = choose_learner(int(labels.bincount().median()), "alone", known)
        return parse_learner(choice.learner), choice.reason

    def _features(self, images: Images) -> Tensor:
        """One task: features (1, N, D) on the backbone's device."""
        from fewshot.embeddings import embed_images

        return embed_images(self.backbone, images)[None].to(self.backbone.device)


def _classes(images: Images, names: Names) -> tuple[np.ndarray, Tensor]:
    """The names in order (C,), and for each image which of them is its own (N,)."""
    if len(images) != len(names):
        raise InvalidInput(f"each image needs one name, found {len(images)} images and {len(names)} names")
    if len(images) == 0:
        raise InvalidInput("fit needs images of two classes or more, found no images")
    if not any(all(isinstance(name, kind) for name in names) for kind in (str, int | np.integer)):
        found = ", ".join(sorted({type(name).__name__ for name in names}))
        raise InvalidInput(f"names must be all strings or all integers, found {found}")
    classes, labels = np.unique(np.asarray(names), return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"fit needs images of two classes or more, found only {names[0]!r}")
    return classes, torch.from_numpy(labels)
