"""Prototypical networks: a class is the mean of its support, in a learned space (Snell et al. 2017, eq. 1 and 2)."""

from dataclasses import dataclass
from typing import Literal

from fewshot.learners.checks import check_positive
from fewshot.learners.inductive import Prototypical
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import LearnerHead, MetricLearner


@register_meta_learner(
    "protonet", paper="Snell et al. 2017, Prototypical Networks for Few-shot Learning, arXiv:1703.05175"
)
@dataclass(frozen=True)
class ProtoNet(MetricLearner):
    """Nearest class mean; training with more ways than are tested makes it better (section 2.5).

    metric: `euclidean`, minus the squared distance, or `cosine`, which the paper found worse. scale: of the cosines at
    the start of training, which learns it (the paper has none); distances are taken as they are.
    """

    metric: Literal["euclidean", "cosine"] = "euclidean"
    scale: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "scale")

    def head(self, dim: int) -> LearnerHead:
        """Class means under the metric; cosines come with a scale that is learned. Any `dim` will do."""
        return LearnerHead(Prototypical(self.metric), self.scale if self.metric == "cosine" else None)
