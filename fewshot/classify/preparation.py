"""From images and names to what a learner takes: the learner chosen, the input checked, the features made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from fewshot.backbones import TextEncoder
from fewshot.classify.class_words import class_words
from fewshot.classify.examples import Examples
from fewshot.classify.items import Items, Names, classes_of, distinct_rows, features_of, names_of
from fewshot.classify.rules import choose_method
from fewshot.errors import FingerprintMismatch
from fewshot.learners import Learner, parse_learner
from fewshot.learners.choice import Base

if TYPE_CHECKING:
    from fewshot.classify.classifier import FewShotClassifier


@dataclass(frozen=True)
class Prepared:
    """The learner and why it is this one, the names of the classes (C,), and the examples as features.

    rows (N,): which of the items given the examples are; each picture or text is there once.
    """

    learner: Learner
    reason: str
    classes: np.ndarray
    examples: Examples
    rows: Tensor


def prepare(
    classifier: FewShotClassifier, images: Items, names: Names | None = None, unlabelled: Items = ()
) -> Prepared:
    """What `fit` and `evaluate` start from; raises what `FewShotClassifier.fit` says."""
    backbone, base = classifier.backbone, classifier.base
    names = names_of(images, names)
    classes, labels = classes_of(images, names)
    rows = distinct_rows(images, labels, texts=isinstance(backbone, TextEncoder))
    labels = labels[rows]
    if base is not None and base.backbone not in ("", backbone.fingerprint):
        raise FingerprintMismatch(
            f"base was made with backbone {base.backbone} and the classifier uses {backbone.fingerprint} "
            f"({backbone.name}); make both with the same"
        )
    with_words = classifier.words is not None or classifier.descriptions is not None
    learner, reason = chosen_learner(classifier, int(labels.bincount().median()), with_words)
    learner.check_backbone(backbone.fingerprint)
    words = class_words(backbone, classifier.words, [str(name) for name in classes], classifier.descriptions)
    features = features_of(backbone, images)
    features = features[rows.to(features.device)]
    more = features_of(backbone, unlabelled) if len(unlabelled) else None
    examples = Examples(features, labels.to(features.device), len(classes), base, words, more)
    return Prepared(learner, reason, classes, examples, rows)


def chosen_learner(classifier: FewShotClassifier, shots: int, words: bool) -> tuple[Learner, str]:
    """The learner for so many images a class, with or without words, and why it is this one."""
    asked, base = classifier.learner, classifier.base
    if isinstance(asked, Learner):
        return asked, "given"
    if asked != "auto":
        return parse_learner(asked), "asked for by name"
    known: Base = "none" if base is None else "mean" if base.labels is None else "classes"
    choice = choose_method(shots, words, known)
    on_pictures = "; measured on pictures, not on texts" if classifier.takes_texts and shots else ""
    return parse_learner(choice.learner), choice.reason + on_pictures
