"""Learners that see the support only; each query is classified by itself."""

from fewshot.learners.inductive.logistic import Logistic
from fewshot.learners.inductive.matching import Matching
from fewshot.learners.inductive.nearest_neighbour import NearestNeighbour
from fewshot.learners.inductive.prototypical import Prototypical
from fewshot.learners.inductive.ridge import Ridge
from fewshot.learners.inductive.simpleshot import SimpleShot

__all__ = ["Logistic", "Matching", "NearestNeighbour", "Prototypical", "Ridge", "SimpleShot"]
