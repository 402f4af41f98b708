"""SJE, structured joint embedding (Akata et al. 2015, eq. 4 and 5): a structured SVM."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.zeroshot.attributes.bilinear import Bilinear
from fewshot.zeroshot.attributes.registry import register_attribute_method


@register_attribute_method(
    "sje",
    paper="Akata et al. 2015, Evaluation of output embeddings for fine-grained image classification, arXiv:1409.8403",
)
@dataclass(frozen=True)
class SJE(Bilinear):
    """A bilinear form whose loss is the largest violation of the margin: one wrong class an item counts.

    The paper's margin is 1, the loss of a wrong class; it picks rate and epochs on validation classes.
    """

    def loss_and_slope(self, violations: Tensor) -> tuple[Tensor, Tensor]:
        """The largest violation, and 1 at its place."""
        loss, worst = violations.max(1)
        return loss, torch.zeros_like(violations).scatter(1, worst[:, None], (loss > 0).to(violations)[:, None])
