"""Meta-learners: the backbone is trained across tasks."""

from fewshot.learners.meta.gradient import ANIL, BOIL, CAVIA, FOMAML, IMAML, MAML, MAMLPlusPlus, MetaSGD, Reptile
from fewshot.learners.meta.interop import Learn2Learn
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
from fewshot.learners.meta.training import MetaModel, MetaTraining, meta_train

__all__ = [
    "ANIL",
    "BOIL",
    "CAVIA",
    "FOMAML",
    "IMAML",
    "MAML",
    "R2D2",
    "RFS",
    "Baseline",
    "BaselinePlusPlus",
    "Learn2Learn",
    "MAMLPlusPlus",
    "MatchingNetwork",
    "MetaBaseline",
    "MetaFEAT",
    "MetaLearner",
    "MetaModel",
    "MetaOptNet",
    "MetaSGD",
    "MetaTraining",
    "Outcome",
    "ProtoNet",
    "RelationNetwork",
    "Reptile",
    "Tasks",
    "create_meta_learner",
    "list_meta_learners",
    "meta_train",
    "register_meta_learner",
]
