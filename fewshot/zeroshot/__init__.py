"""Classifiers from words: prompts, text vectors of classes, and what a user holds in hand."""

from fewshot.zeroshot.classifier import ZeroShotClassifier
from fewshot.zeroshot.prompts import BACKGROUND
from fewshot.zeroshot.scoring import ZeroShotResult, evaluate_zero_shot, score_words
from fewshot.zeroshot.templates import TemplateSet, clean_name, list_templates, published_classes, template_set
from fewshot.zeroshot.text_classifier import build_words

__all__ = [
    "BACKGROUND",
    "TemplateSet",
    "ZeroShotClassifier",
    "ZeroShotResult",
    "build_words",
    "clean_name",
    "evaluate_zero_shot",
    "list_templates",
    "published_classes",
    "score_words",
    "template_set",
]
