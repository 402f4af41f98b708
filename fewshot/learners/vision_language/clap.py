"""Linear probes that start from the words, free (ZS-LP) or held near them (CLAP): Silva-Rodriguez et al. 2024."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.momentum import Momentum
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.by_class import class_sums
from fewshot.learners.vision_language.cosines import slope_by_vectors
from fewshot.learners.vision_language.learner import WordLearner
from fewshot.learners.vision_language.minibatches import train_in_minibatches
from fewshot.learners.vision_language.span import Span
from fewshot.learners.words import Words

PAPER = (
    "Silva-Rodriguez et al. 2024, A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models, "
    "arXiv:2312.12730"
)


@register_learner("zs-lp", paper=PAPER)
@dataclass(frozen=True)
class ZSLP(WordLearner):
    """Class vectors under a cosine that start at the words and descend the log loss of the support.

    They start at the mean of the prompts of a class before it is scaled to length 1 (where the words hold it), times
    length: a longer vector turns less at a step, so at another length another rate would be needed. The authors start
    at what CLIP's text tower gives, several times as long as 1; 8 stands for that. rate, momentum: of gradient descent,
    the rate falls to zero along a cosine; epochs, batch: how often it sees each item, and items a step. The vectors of
    the last step count. The paper learns from 20 crops of each image; here it is the features as they are.
    """

    length: float = 8.0
    rate: float = 0.1
    momentum: float = 0.9
    epochs: int = 300
    batch: int = 256

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"rate": (0.01, 0.03, 0.1, 0.3), "epochs": (100, 300)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "length", "rate", "epochs", "batch")
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"{self.name}: momentum must be in [0, 1), found {self.momentum!r}")

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """The trained class vectors (T, ways, D), of length 1, in place of the words."""
        start = self.length * (words.vectors if words.raw is None else words.raw)
        hold = self.hold(features, support, words)
        span = Span(features, start)
        fixed = [support.present, hold, span.vectors]
        gradients = partial(_gradient, words.scale)
        optimiser = partial(Momentum, rate=self.rate, momentum=self.momentum)
        trained = train_in_minibatches(
            gradients, span.features, support.labels, fixed, [span.vectors], optimiser, self.epochs, self.batch
        )
        return {"text": l2_normalize(span.restored(trained[0]))}

    def hold(self, features: Tensor, support: Support, words: Words) -> Tensor:
        """How strongly each class (T, ways, 1) is held to its start: half the weight of the squared distance."""
        return torch.zeros_like(words.vectors[..., :1])


@register_learner("clap", paper=PAPER)
@dataclass(frozen=True)
class CLAP(ZSLP):
    """ZS-LP whose class vectors pay for leaving the words, the more the better the words know the class.

    The mean over the classes of multiplier times squared distance from the start is added to the loss (eq. 9); the
    multiplier of a class is the mean zero-shot probability of its own items (eq. 12) and stays as it is. length, rate,
    momentum, epochs and batch as in `zs-lp`.
    """

    def hold(self, features: Tensor, support: Support, words: Words) -> Tensor:
        """Twice the multiplier of each class, shared among the classes of the task."""
        logits = (words.scale * features @ words.vectors.mT).masked_fill(~support.present[:, None], -torch.inf)
        own = logits.softmax(2).gather(2, support.labels.clamp(min=0)[..., None])
        items = class_sums(support.real, support.labels, support.ways).clamp(min=1)
        multipliers = class_sums(own * support.real, support.labels, support.ways) / items
        return 2 * multipliers / support.present.sum(1)[:, None, None]


def _gradient(
    scale: float, features: Tensor, labels: Tensor, present: Tensor, hold: Tensor, start: Tensor, weight: Tensor
) -> list[Tensor]:
    return [slope_by_vectors(scale, features, labels, present, weight) + hold * (weight - start)]
