"""Metrics: pure functions of logits or predictions and labels, and the interval that a mean over tasks needs."""

from fewshot.metrics.accuracy import accuracy_of_predictions, episode_accuracy
from fewshot.metrics.interval import Interval, PairedTest, accuracy_interval, paired_test

__all__ = [
    "Interval",
    "PairedTest",
    "accuracy_interval",
    "accuracy_of_predictions",
    "episode_accuracy",
    "paired_test",
]
