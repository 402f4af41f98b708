"""MAML: first weights from which few gradient steps learn a task (Finn et al. 2017, algorithm 2)."""

from dataclasses import dataclass

from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.meta_learner import register_meta_learner

_PAPER = "Finn et al. 2017, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks, arXiv:1703.03400"


@register_meta_learner("maml", paper=_PAPER)
@dataclass(frozen=True)
class MAML(GradientLearner):
    """All parameters adapt, and the meta-gradient goes through the steps.

    The defaults are the paper's for Omniglot, 5 ways (appendix A.1); for 20 ways inner_rate 0.1 and 5 steps.
    """


@register_meta_learner("fomaml", paper=_PAPER)
@dataclass(frozen=True)
class FOMAML(GradientLearner):
    """MAML without second derivatives: the meta-gradient is the query gradient at the adapted weights (section 5.2)."""

    first_order: bool = True
