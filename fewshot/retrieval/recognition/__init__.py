"""One-shot recognition: the index is the support set, and its labels are the classes."""

from fewshot.retrieval.recognition.calibrating import calibrate
from fewshot.retrieval.recognition.recognising import Recognised, as_learner, classify
from fewshot.retrieval.recognition.rules import Rule
from fewshot.retrieval.recognition.threshold import Threshold

__all__ = ["Recognised", "Rule", "Threshold", "as_learner", "calibrate", "classify"]
