"""Metrics: pure functions of logits or predictions and labels, and the interval that a mean over tasks needs."""

from fewshot.metrics.accuracy import accuracy_of_predictions, episode_accuracy
from fewshot.metrics.calibration import ReliabilityBins, calibration_error
from fewshot.metrics.interval import Interval, PairedTest, accuracy_interval, paired_test
from fewshot.metrics.per_class import ClassCounts, ClassScores, per_class_scores
from fewshot.metrics.top_k import top_k_accuracy

__all__ = [
    "ClassCounts",
    "ClassScores",
    "Interval",
    "PairedTest",
    "ReliabilityBins",
    "accuracy_interval",
    "accuracy_of_predictions",
    "calibration_error",
    "episode_accuracy",
    "paired_test",
    "per_class_scores",
    "top_k_accuracy",
]
