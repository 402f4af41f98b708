"""Learners that see the support only; each query is classified by itself."""

from fewshot.learners.inductive.cosine import Cosine
from fewshot.learners.inductive.discriminant import LDA
from fewshot.learners.inductive.distribution_calibration import DistributionCalibration
from fewshot.learners.inductive.ensemble import Ensemble
from fewshot.learners.inductive.feat import FEAT
from fewshot.learners.inductive.finetune import Finetune
from fewshot.learners.inductive.logistic import Logistic
from fewshot.learners.inductive.matching import Matching
from fewshot.learners.inductive.matching_fce import MatchingFCE
from fewshot.learners.inductive.nearest_neighbour import NearestNeighbour
from fewshot.learners.inductive.prototypical import Prototypical
from fewshot.learners.inductive.relation import Relation
from fewshot.learners.inductive.ridge import Ridge
from fewshot.learners.inductive.simpleshot import SimpleShot
from fewshot.learners.inductive.soft_kmeans import SoftKMeans
from fewshot.learners.inductive.svm import SVM

__all__ = [
    "FEAT",
    "LDA",
    "SVM",
    "Cosine",
    "DistributionCalibration",
    "Ensemble",
    "Finetune",
    "Logistic",
    "Matching",
    "MatchingFCE",
    "NearestNeighbour",
    "Prototypical",
    "Relation",
    "Ridge",
    "SimpleShot",
    "SoftKMeans",
]
