"""TaskRes: the words plus a residual of each class, trained on the support (Yu et al. 2023, eq. 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.cosines import slope_by_vectors
from fewshot.learners.vision_language.minibatches import MinibatchTraining
from fewshot.learners.words import Words


@register_learner("taskres", paper="Yu et al. 2023, Task Residual for Tuning Vision-Language Models, arXiv:2211.10277")
@dataclass(frozen=True)
class TaskRes(MinibatchTraining):
    """Class vectors under a cosine: those of the words plus alpha times a residual, which starts at zero.

    length: of the words, times that of the mean of their prompts, as in `zs-lp`. penalty: on half the squared residual.
    rate, epsilon: of Adam; the rate falls to zero along a cosine. decay: of AdamW. epochs, batch: how often it sees an
    item, and items a step. The authors take 200 epochs from 8 shots on, a tenth of the rate for ImageNet and alpha 1
    for flowers; they see another crop of each image each time, here it is the features as they are.
    """

    alpha: float = 0.5
    length: float = 8.0
    penalty: float = 5e-4
    rate: float = 2e-3
    epsilon: float = 1e-8
    decay: float = 0.0
    epochs: int = 100

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (0.2, 0.5, 1.0), "rate": (2e-4, 2e-3, 2e-2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "alpha", "length")
        check_not_negative(self, "penalty")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The words with their residuals (T, ways, D), of length 1, in place of the words."""
        start = self.length * (words.vectors if words.raw is None else words.raw)
        gradients = partial(_gradient, words.scale, self.alpha, self.penalty)
        fixed, nothing = [support.present, start], torch.zeros_like(start)
        residual = self.train(gradients, features, support.labels, fixed, [nothing])[0]
        return {"text": l2_normalize(start + self.alpha * residual)}


def _gradient(
    scale: float,
    alpha: float,
    penalty: float,
    features: Tensor,
    labels: Tensor,
    present: Tensor,
    start: Tensor,
    residual: Tensor,
) -> list[Tensor]:
    slope = slope_by_vectors(scale, features, labels, present, start + alpha * residual)
    return [alpha * slope + penalty * residual]
