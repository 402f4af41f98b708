"""Meta-learners: the backbone is trained across tasks."""

from fewshot.learners.meta.meta_learner import (
    MetaLearner,
    Outcome,
    create_meta_learner,
    list_meta_learners,
    register_meta_learner,
)
from fewshot.learners.meta.metric import (
    R2D2,
    RFS,
    Baseline,
    BaselinePlusPlus,
    MatchingNetwork,
    MetaBaseline,
    MetaFEAT,
    MetaOptNet,
    ProtoNet,
    RelationNetwork,
)
from fewshot.learners.meta.tasks import Tasks

from fewshot.learners.meta import gradient, interop  # isort: skip  # their learners enter the registry

__all__ = [
    "R2D2",
    "RFS",
    "Baseline",
    "BaselinePlusPlus",
    "MatchingNetwork",
    "MetaBaseline",
    "MetaFEAT",
    "MetaLearner",
    "MetaOptNet",
    "Outcome",
    "ProtoNet",
    "RelationNetwork",
    "Tasks",
    "create_meta_learner",
    "gradient",
    "interop",
    "list_meta_learners",
    "register_meta_learner",
]
