"""The words of a classifier's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.backbones import Backbone, TextEncoder
from fewshot.learners import Words

Descriptions = Mapping[str, str | Sequence[str]]


def class_words(
    backbone: Backbone | TextEncoder, words: Any, classes: Sequence[str], descriptions: Descriptions | None
) -> Words | None:
    """Text vectors of the classes in their order, or None where words are None and nothing describes the classes.

    words: `Words` that hold these classes, or templates that `fewshot.zeroshot.build_words` makes them from.
    Raises `FingerprintMismatch` for words of another backbone, `InvalidInput` for a class without a vector, or for a
    backbone without a text half.
    """
    if isinstance(words, Words):
        words.check_backbone(backbone.fingerprint)
        return words.select(classes)
    if words is None and descriptions is None:
        return None
    from fewshot.zeroshot.text_classifier import build_words

    return build_words(backbone, classes, templates=words, descriptions=descriptions, progress=False)


def text_fingerprint(backbone: Backbone | TextEncoder) -> str | None:
    """The fingerprint of a backbone's text half, None where it has none."""
    text = getattr(backbone, "text", None)
    return None if text is None else text.fingerprint


def default_templates(backbone: Backbone | TextEncoder) -> str:
    """A photo of a class where there are images, its bare name where there are texts."""
    return "name" if isinstance(backbone, TextEncoder) else "simple"
