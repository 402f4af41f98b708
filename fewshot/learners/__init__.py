"""Few-shot classifiers over features: one file a method, thousands of tasks at once."""

from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.classifier import FewShotClassifier
from fewshot.learners.evaluate import evaluate
from fewshot.learners.evaluation import Evaluation
from fewshot.learners.inductive import Logistic, Matching, NearestNeighbour, Prototypical, Ridge, SimpleShot
from fewshot.learners.learner import Head, Learner
from fewshot.learners.registry import create_learner, describe_learner, list_learners, register_learner
from fewshot.learners.transductive import PTMAP

__all__ = [
    "PTMAP",
    "BaseStatistics",
    "Evaluation",
    "FewShotClassifier",
    "Head",
    "Learner",
    "Logistic",
    "Matching",
    "NearestNeighbour",
    "Prototypical",
    "Ridge",
    "SimpleShot",
    "create_learner",
    "describe_learner",
    "evaluate",
    "list_learners",
    "register_learner",
]
