"""Meta-learners that compare queries with the support in a space that is learned, across tasks or on base classes."""

from fewshot.learners.meta.metric.baseline import Baseline, BaselinePlusPlus
from fewshot.learners.meta.metric.feat import MetaFEAT
from fewshot.learners.meta.metric.matching import MatchingNetwork
from fewshot.learners.meta.metric.meta_baseline import MetaBaseline
from fewshot.learners.meta.metric.metaoptnet import MetaOptNet
from fewshot.learners.meta.metric.protonet import ProtoNet
from fewshot.learners.meta.metric.r2d2 import R2D2
from fewshot.learners.meta.metric.relation import RelationNetwork
from fewshot.learners.meta.metric.rfs import RFS

__all__ = [
    "R2D2",
    "RFS",
    "Baseline",
    "BaselinePlusPlus",
    "MatchingNetwork",
    "MetaBaseline",
    "MetaFEAT",
    "MetaOptNet",
    "ProtoNet",
    "RelationNetwork",
]
