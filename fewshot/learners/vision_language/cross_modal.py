"""Cross-modal linear probe: the words of a class are further items to learn from (Lin et al. 2023, eq. 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.by_class import of_class
from fewshot.learners.vision_language.minibatches import MinibatchTraining, loss_slope
from fewshot.learners.words import Words


@register_learner(
    "cross-modal-lp",
    paper="Lin et al. 2023, Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning, arXiv:2301.06267",
)
@dataclass(frozen=True)
class CrossModalLP(MinibatchTraining):
    """A linear probe that starts at the words and learns from images and words, half of each minibatch each.

    The words in a minibatch are those of the classes of its images. rate, epsilon, decay: of AdamW; the rate falls to
    zero along a cosine. epochs, batch: how often it sees an image, and images a step. The authors choose rate (1e-4 or
    1e-3), decay and batch (8 or 32, for 12,800 steps) on validation images, and the step that is best on them; here the
    weights of the last step count.
    """

    rate: float = 1e-4
    epsilon: float = 1e-8
    decay: float = 0.01
    epochs: int = 300

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"rate": (1e-4, 1e-3), "decay": (0.0, 1e-4, 0.01)}

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The trained class vectors (T, ways, D), whatever their length, in place of the words."""
        fixed = [support.present, words.vectors]
        gradients = partial(_gradient, words.scale)
        return {"text": self.train(gradients, features, support.labels, fixed, [words.vectors])[0]}


def _gradient(
    scale: float, features: Tensor, labels: Tensor, present: Tensor, text: Tensor, weight: Tensor
) -> list[Tensor]:
    items = torch.cat([features, of_class(text, labels)], 1)
    slope = loss_slope(scale * weight @ items.mT, torch.cat([labels, labels], 1), present)
    return [scale * slope @ items]
