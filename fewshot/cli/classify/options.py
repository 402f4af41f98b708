"""What `fit` and `evaluate` share: how a classifier is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, with_options

if TYPE_CHECKING:
    from fewshot.classify import FewShotClassifier
    from fewshot.classify.sources import Source
    from fewshot.learners import Learner

making_options = with_options(
    click.option("--backbone", help="Makes the features; by default as the images ask for, like the learner."),
    click.option("--learner", default="auto", show_default=True, help="name, name:setting=value,... or auto."),
    click.option("--words/--no-words", default=None, help="Use the class names too; by default for pictures only."),
    click.option("--templates", multiple=True, help="A set such as simple, or a sentence with {}; repeatable."),
    click.option("--descriptions", type=click.Path(path_type=Path), help='JSON: {"class": ["a sentence", ...]}.'),
    device_option,
)


def make_classifier(
    source: Source,
    backbone: str | None,
    learner: str,
    words: bool | None,
    templates: tuple[str, ...],
    descriptions: Path | None,
    device: str,
) -> FewShotClassifier:
    """The classifier that the options ask for, not fitted yet; a sentence encoder where the source is texts."""
    from fewshot.backbones import create_backbone, create_text_encoder
    from fewshot.classify import FewShotClassifier
    from fewshot.classify.class_words import default_templates
    from fewshot.classify.sources import read_descriptions
    from fewshot.errors import InvalidInput
    from fewshot.learners import parse_learner

    if words is False and (templates or descriptions):
        raise InvalidInput("--templates and --descriptions are words; leave out --no-words")
    asked = None if learner == "auto" else parse_learner(learner)  # a wrong name is told before anything is loaded
    told = read_descriptions(descriptions) if descriptions else None
    if words is None and (templates or told or (asked and asked.needs_words)):
        words = True
    name = backbone or _default_backbone(source, asked, words)
    of_texts = source.texts or (source.items is None and name.startswith("sentence:"))
    made = create_text_encoder(name, device=device) if of_texts else create_backbone(name, device=device)
    if words is None:
        words = getattr(made, "text", None) is not None
    sets: Any = templates[0] if len(templates) == 1 else list(templates) or default_templates(made)
    return FewShotClassifier(made, learner, words=sets if words else None, descriptions=told)


def _default_backbone(source: Source, asked: Learner | None, words: bool | None) -> str:
    from fewshot.classify.rules import BRIDGE, IMAGES, TEXTS, find_rule

    if source.texts:
        return TEXTS
    if words is False:
        return IMAGES
    if source.items is None or words:
        return BRIDGE
    return IMAGES if asked else find_rule(source.shots, words=True).backbone
