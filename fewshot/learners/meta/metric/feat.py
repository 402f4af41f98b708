"""FEAT: class means that adapt to each other, learned with the backbone (Ye et al. 2020, sections 3.3 and 3.4)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.inductive.feat import SetToSet
from fewshot.learners.meta.meta_learner import register_meta_learner
from fewshot.learners.meta.metric.metric_learner import MetricLearner
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork


@register_meta_learner(
    "feat", paper="Ye et al. 2020, Few-Shot Learning via Embedding Adaptation with Set-to-Set Functions, "
    "arXiv:1812.03664"
)  # fmt: skip
@dataclass(frozen=True)
class MetaFEAT(MetricLearner):
    """Nearest class mean, the means adapted to each other by self-attention; start from a pretrained backbone.

    That is one that comes with weights, or NAME@FILE with the checkpoint of a `baseline` or `rfs`.

    hidden: dimensions of the attention, 0 for those of the features as in the paper. temperature: of the squared
    distances between features of length 1 (the paper's 64 for 640 dimensions). contrast: weight of the regulariser,
    which asks of items adapted to their own class alone that they be near its centre (section 3.4). As in the learner
    `feat`, features are scaled to one length first, and attention starts at zero.
    """

    hidden: int = 0
    temperature: float = 0.1
    contrast: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature")
        check_not_negative(self, "hidden", "contrast")

    def head(self, dim: int) -> SetToSet:
        """Self-attention over class means (ways, dim), of `hidden` dimensions or of `dim`."""
        return SetToSet(dim, self.hidden or dim, self.temperature, self.contrast)

    def loss(self, head: EpisodicNetwork, support: Support, query: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy with the regulariser, and the logits."""
        with torch.no_grad():
            logits = head.logits(support, query)
        return head.loss(support, query, labels), logits
