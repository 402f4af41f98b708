"""Metrics: pure functions of logits or predictions and labels, and the interval that a mean over tasks needs."""

from fewshot.metrics.accuracy import accuracy_of_predictions, episode_accuracy
from fewshot.metrics.calibration import ReliabilityBins, calibration_error, platt_scaling, temperature_scaling
from fewshot.metrics.generalized import (
    SeenUnseenCurve,
    calibrated_stacking,
    harmonic_mean,
    mean_class_accuracy,
    seen_unseen_curve,
)
from fewshot.metrics.interval import Interval, PairedTest, accuracy_interval, paired_test
from fewshot.metrics.per_class import ClassCounts, ClassScores, per_class_scores
from fewshot.metrics.top_k import top_k_accuracy

__all__ = [
    "ClassCounts",
    "ClassScores",
    "Interval",
    "PairedTest",
    "ReliabilityBins",
    "SeenUnseenCurve",
    "accuracy_interval",
    "accuracy_of_predictions",
    "calibrated_stacking",
    "calibration_error",
    "episode_accuracy",
    "harmonic_mean",
    "mean_class_accuracy",
    "paired_test",
    "per_class_scores",
    "platt_scaling",
    "seen_unseen_curve",
    "temperature_scaling",
    "top_k_accuracy",
]
