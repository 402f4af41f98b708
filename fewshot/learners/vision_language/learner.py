"""What learners by words share: zero-shot logits, to which the images of the support add theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.support import Support
from fewshot.learners.words import Words


@dataclass(frozen=True)
class WordLearner(Learner):
    """A learner whose logits are those of the words plus those of the images; features get length 1 first.

    A method says what it learns from the images (`learn_images`) and what that adds to a logit (`image_logits`).
    """

    needs_words: ClassVar[bool] = True

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The words as tensors, and what the images say; the latter may replace the text vectors."""
        assert support.words is not None
        return {
            **word_state(support.words),
            **self.learn_images(l2_normalize(support.features), support, support.words),
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Zero-shot logits plus those of the images."""
        query = l2_normalize(query)
        return word_logits(state, query) + self.image_logits(state, query)

    def carry_over(self, state: Mapping[str, Tensor], classes: Support) -> dict[str, Tensor]:
        """The words of these classes in place of the others; right where images change the features alone."""
        assert classes.words is not None
        return {**state, **word_state(classes.words)}

    def learn_images(self, features: Tensor, support: Support, words: Words) -> dict[str, Tensor]:
        """What is learned from the features (T, S, D) of the support, of length 1 or zero where padded."""
        return {}

    def image_logits(self, state: Mapping[str, Tensor], query: Tensor) -> Tensor | float:
        """What it adds to the logits (T, Q, ways) of query (T, Q, D), of length 1."""
        return 0.0


def word_state(words: Words) -> dict[str, Tensor]:
    """What `word_logits` needs, as tensors a head can keep."""
    return {
        "text": words.vectors,
        "scale": words.vectors.new_tensor(words.scale),
        "bias": words.vectors.new_tensor(words.bias),
    }


def word_logits(state: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """The zero-shot logits (T, N, ways) of features (T, N, D) of length 1."""
    return (features @ state["text"].mT).mul_(state["scale"]).add_(state["bias"])
