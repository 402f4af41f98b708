"""ALE, attribute label embedding (Akata et al. 2016, eq. 8 to 10): a weighted approximate ranking loss."""

from dataclasses import dataclass

from torch import Tensor

from fewshot.zeroshot.attributes.bilinear import Bilinear
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "ale", paper="Akata et al. 2016, Label-embedding for image classification, PAMI, arXiv:1503.08677"
)
@dataclass(frozen=True)
class ALE(Bilinear):
    """A bilinear form whose loss adds up all violations of the margin, weighed for the top of the ranking.

    With r violations, each counts (1 + 1/2 + … + 1/r) / r. All classes are ranked at every step, where the paper
    samples classes until one violates the margin. The margin is the paper's 1; it picks rate and epochs on validation
    classes.
    """

    def loss_and_slope(self, violations: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted sum of violations; the weight is constant where the derivative exists."""
        above = (violations > 0).to(violations)
        rank = above.sum(1, keepdim=True)
        harmonic = (1 / above.cumsum(1).clamp(min=1) * above).sum(1, keepdim=True)
        slope = harmonic / rank.clamp(min=1) * above
        return (slope * violations).sum(1), slope
