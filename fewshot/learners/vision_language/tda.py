"""TDA: caches of a stream's surest and of its doubtful images, beside the words (Karmanov et al. 2024)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_finite_query, check_not_negative, check_positive
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.prototypes import one_hot
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support
from fewshot.learners.vision_language.learner import word_logits, word_state


@register_learner(
    "tda", paper="Karmanov et al. 2024, Efficient Test-Time Adaptation of Vision-Language Models, arXiv:2403.18293"
)
@dataclass(frozen=True)
class TDA(Learner):
    """Queries come one after the other; each is cached if the words are sure of it, then scored beside the caches.

    The positive cache keeps the `slots` surest queries of each class, as the words see it. It adds
    alpha exp(-beta (1 - cosine)) of its items to their class. The negative cache keeps queries whose entropy is between
    `lower` and `upper`, and takes negative_alpha exp(-negative_beta (1 - cosine)) from every class that had a
    probability above negative_least. As in the authors' code, entropies are in nats over the binary logarithm of the
    number of classes: ln 2 is the most. The settings are the authors' for ImageNet; they have others for each data set.
    warm_start: labelled items, where there are some, are in the positive cache from the first to the last query, beside
    the slots; the paper has none. The caches are empty again at each call of a head.
    """

    slots: int = 3
    alpha: float = 2.0
    beta: float = 5.0
    negative_slots: int = 2
    negative_alpha: float = 0.117
    negative_beta: float = 1.0
    negative_least: float = 0.03
    lower: float = 0.2
    upper: float = 0.5
    warm_start: bool = True

    transductive: ClassVar[bool] = True
    streaming: ClassVar[bool] = True
    needs_words: ClassVar[bool] = True
    needs_support: ClassVar[bool] = False
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"alpha": (1.0, 2.0, 3.0), "beta": (3.0, 5.0, 8.0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "slots", "negative_slots")
        check_not_negative(self, "alpha", "beta", "negative_alpha", "negative_beta", "lower", "upper")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The words, and the labelled items of a warm start."""
        assert support.words is not None
        kept = slice(None if self.warm_start else 0)
        return {
            **word_state(support.words),
            "support": l2_normalize(support.features[:, kept]),
            "labels": support.labels[:, kept],
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Zero-shot logits, plus those of the positive and minus those of the negative cache at the query's time."""
        check_finite_query(query)
        query = l2_normalize(query)
        logits = word_logits(state, query)
        present = state["present"]
        probabilities = logits.masked_fill(~present[:, None], -torch.inf).softmax(2)
        labelled = one_hot(state["labels"], logits.shape[2], query)
        logits += self.alpha * closeness(query @ state["support"].mT, self.beta) @ labelled
        return logits + self._cached(query, probabilities, present.sum(1, keepdim=True), mask)

    def _cached(self, query: Tensor, probabilities: Tensor, ways: Tensor, mask: Tensor) -> Tensor:
        """What the caches add to the logits (T, Q, W), one query after the other."""
        entropy, classes = torch.special.entr(probabilities).sum(2), probabilities.argmax(2)
        doubt = entropy / ways.clamp(min=2).log2()
        doubtful = mask & (self.lower < doubt) & (doubt < self.upper)
        sure, unsure = (Cache(query, probabilities.shape[2], slots) for slots in (self.slots, self.negative_slots))
        refused = query.new_zeros(*unsure.entropy.shape, probabilities.shape[2])
        added = torch.zeros_like(probabilities)
        for now in range(query.shape[1]):
            item, of, sureness = query[:, now], classes[:, now], entropy[:, now]
            sure.take(item, of, sureness, mask[:, now])
            place, taken = unsure.take(item, of, sureness, doubtful[:, now])
            put(refused, place, (probabilities[:, now] > self.negative_least).to(query), taken)
            against = unsure.closeness(item, self.negative_beta).flatten(1)[:, None] @ refused.flatten(1, 2)
            added[:, now] = self.alpha * sure.closeness(item, self.beta).sum(2) - self.negative_alpha * against[:, 0]
        return added


Place = tuple[Tensor, Tensor, Tensor]  # a slot in each of T tasks: the task, its class and its number, each (T,)


class Cache:
    """The items of least entropy of each class: features (T, W, slots, D) and entropy (T, W, slots)."""

    def __init__(self, query: Tensor, ways: int, slots: int) -> None:
        self.features = query.new_zeros(len(query), ways, slots, query.shape[2])
        self.entropy = query.new_full((len(query), ways, slots), torch.inf)  # of an empty slot
        self.tasks = torch.arange(len(query), device=query.device)

    def take(self, item: Tensor, classes: Tensor, entropy: Tensor, wanted: Tensor) -> tuple[Place, Tensor]:
        """Put an item (T, D) in the slot of largest entropy of its class (T,), an empty one first, if its own is less.

        Where `wanted` (T,) is false nothing is put. Returns the slot, and whether the item is there now (T,) bool.
        """
        largest, slot = self.entropy[self.tasks, classes].max(1)
        place, taken = (self.tasks, classes, slot), wanted & (entropy < largest)
        put(self.features, place, item, taken)
        put(self.entropy, place, entropy, taken)
        return place, taken

    def closeness(self, item: Tensor, beta: float) -> Tensor:
        """Of an item (T, D) to what each slot holds (T, W, slots); 0 for empty slots."""
        cosines = (self.features.flatten(1, 2) @ item[..., None]).view_as(self.entropy)
        return closeness(cosines, beta) * self.entropy.isfinite()


def closeness(cosines: Tensor, beta: float) -> Tensor:
    """1 for vectors that are the same, and the less the larger beta for others."""
    return (beta * (cosines - 1)).exp()


def put(store: Tensor, place: Place, values: Tensor, wanted: Tensor) -> None:
    """Write values (T, ...) at a place of each task, where `wanted` (T,) is true."""
    kept = store[place]
    store[place] = torch.where(wanted.view(-1, *[1] * (kept.ndim - 1)), values, kept)
