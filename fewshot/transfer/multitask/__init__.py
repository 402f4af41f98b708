"""Several label sets at once: one trunk with heads, ways to balance them, and the comparison with each alone."""

from fewshot.transfer.multitask.affinity import lookahead_affinity
from fewshot.transfer.multitask.balancing import Balancing, create_balancing, list_balancings, register_balancing
from fewshot.transfer.multitask.comparison import ALONE, ALONE_SHARING, Comparison, Draw, Verdict, draw_split, verdicts
from fewshot.transfer.multitask.equal import Equal
from fewshot.transfer.multitask.gradnorm import GradNorm, gradnorm_gradient
from fewshot.transfer.multitask.inputs import feature_inputs, image_inputs, open_trunk
from fewshot.transfer.multitask.label_sets import LabelSets
from fewshot.transfer.multitask.network import MultitaskNetwork, feature_trunk, task_losses
from fewshot.transfer.multitask.pcgrad import PCGrad, project_conflicts
from fewshot.transfer.multitask.training import MultitaskTraining, Trained, train_multitask
from fewshot.transfer.multitask.uncertainty import Uncertainty, uncertainty_loss

__all__ = [
    "ALONE",
    "ALONE_SHARING",
    "Balancing",
    "Comparison",
    "Draw",
    "Equal",
    "GradNorm",
    "LabelSets",
    "MultitaskNetwork",
    "MultitaskTraining",
    "PCGrad",
    "Trained",
    "Uncertainty",
    "Verdict",
    "create_balancing",
    "draw_split",
    "feature_inputs",
    "feature_trunk",
    "gradnorm_gradient",
    "image_inputs",
    "list_balancings",
    "lookahead_affinity",
    "open_trunk",
    "project_conflicts",
    "register_balancing",
    "task_losses",
    "train_multitask",
    "uncertainty_loss",
    "verdicts",
]
