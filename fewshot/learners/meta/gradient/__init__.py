"""Meta-learners that adapt by gradient steps: MAML and its family."""

from fewshot.learners.meta.gradient.anil import ANIL
from fewshot.learners.meta.gradient.boil import BOIL
from fewshot.learners.meta.gradient.cavia import CAVIA
from fewshot.learners.meta.gradient.imaml import IMAML
from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.gradient.maml import FOMAML, MAML
from fewshot.learners.meta.gradient.maml_plus_plus import MAMLPlusPlus
from fewshot.learners.meta.gradient.meta_sgd import MetaSGD
from fewshot.learners.meta.gradient.reptile import Reptile

__all__ = ["ANIL", "BOIL", "CAVIA", "FOMAML", "IMAML", "MAML", "GradientLearner", "MAMLPlusPlus", "MetaSGD", "Reptile"]
