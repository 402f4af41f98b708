"""Classifiers of a person's own pictures or texts, from a few examples, class names, or both."""

from fewshot.classify.classifier import FewShotClassifier
from fewshot.classify.evaluation import ClassifierEvaluation, Mistake
from fewshot.classify.predictions import Prediction
from fewshot.classify.rules import RULES, Rule, choose_method
from fewshot.classify.temperature import Calibration

__all__ = [
    "RULES",
    "Calibration",
    "ClassifierEvaluation",
    "FewShotClassifier",
    "Mistake",
    "Prediction",
    "Rule",
    "choose_method",
]
