"""Meta-Baseline: nearest class mean by scaled cosine, on a backbone pretrained on base classes (Chen et al. 2021)."""

from dataclasses import dataclass

from fewshot.learners.checks import check_positive
from fewshot.learners.inductive import Prototypical
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import LearnerHead, MetricLearner


@register_meta_learner(
    "meta-baseline",
    paper="Chen et al. 2021, Meta-Baseline: Exploring Simple Meta-Learning for Few-Shot Learning, arXiv:2003.04390",
)
@dataclass(frozen=True)
class MetaBaseline(MetricLearner):
    """The cosine with each class mean times a learned scale; start from a backbone that knows base classes.

    Such a backbone comes pretrained (the authors then train with `batch_norm="running"`), or out of the training of
    `baseline` or `rfs`, as NAME@FILE with its checkpoint. From random weights it is `protonet` with `metric="cosine"`.
    scale: at the start of training.
    """

    scale: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "scale")

    def head(self, dim: int) -> LearnerHead:
        """Class means under the cosine, and the scale."""
        return LearnerHead(Prototypical("cosine"), self.scale)
