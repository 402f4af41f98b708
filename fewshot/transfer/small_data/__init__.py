"""Small data: accuracy by shots, what more labels would give, and ensembles of heads."""

from fewshot.transfer.small_data.ensembles import compare_ensembles, soft_vote, stacking_weights
from fewshot.transfer.small_data.extrapolation import Extrapolation, Foretold, Goal
from fewshot.transfer.small_data.learning_curve import LearningCurve, first_shots, learning_curve
from fewshot.transfer.small_data.picture import draw_learning_curve
from fewshot.transfer.small_data.power_law import PowerLaw, fit_power_law

__all__ = [
    "Extrapolation",
    "Foretold",
    "Goal",
    "LearningCurve",
    "PowerLaw",
    "compare_ensembles",
    "draw_learning_curve",
    "first_shots",
    "fit_power_law",
    "learning_curve",
    "soft_vote",
    "stacking_weights",
]
