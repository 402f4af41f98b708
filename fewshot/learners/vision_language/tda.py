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

BLOCK = 256  # queries that are scored together, once it is known which of them the caches keep


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
        """What the caches add to the logits (T, Q, W): who is in them does not depend on how close anything is."""
        entropy, classes = torch.special.entr(probabilities).sum(2), probabilities.argmax(2)
        doubt = entropy / ways.clamp(min=2).log2()
        doubtful = mask & (self.lower < doubt) & (doubt < self.upper)
        said = one_hot(classes, probabilities.shape[2], query)
        refused = (probabilities > self.negative_least).to(query)
        sure = Cache(query, said, stay(entropy, classes, mask, said.shape[2], self.slots))
        unsure = Cache(query, refused, stay(entropy, classes, doubtful, said.shape[2], self.negative_slots))
        added = torch.empty_like(probabilities)
        for first in range(0, query.shape[1], BLOCK):
            now = slice(first, min(first + BLOCK, query.shape[1]))
            added[:, now] = self.alpha * sure.votes(now, self.beta)
            added[:, now] -= self.negative_alpha * unsure.votes(now, self.negative_beta)
        return added


def stay(entropy: Tensor, classes: Tensor, wanted: Tensor, ways: int, slots: int) -> Tensor:
    """When each item of a stream (T, Q) leaves its cache: the number of the item that takes its slot, Q for never.

    A class keeps the `slots` items of least entropy, the earlier of equal ones. An item that is not `wanted` (T, Q), or
    less sure than all that its class has, leaves at its own number: it was never there.
    """
    count, length = entropy.shape
    held = entropy.new_full((count, ways, slots), torch.inf)  # the entropy of an empty slot
    items = torch.full(held.shape, length, device=entropy.device)  # ... and its item, whose leave is not looked at
    leaves = items.new_full((count, length + 1), length)
    tasks = torch.arange(count, device=entropy.device)
    for now in range(length):
        largest, slot = held[tasks, classes[:, now]].max(1)
        place, taken = (tasks, classes[:, now], slot), wanted[:, now] & (entropy[:, now] < largest)
        leaves[tasks, torch.where(taken, items[place], now)] = now
        held[place] = torch.where(taken, entropy[:, now], largest)
        items[place] = torch.where(taken, now, items[place])
    return leaves[:, :length]


@dataclass(frozen=True)
class Cache:
    """The items of streams (T, Q, D), what they say of each class (T, Q, W), and when they leave (T, Q)."""

    items: Tensor
    says: Tensor
    leaves: Tensor

    def votes(self, now: slice, beta: float) -> Tensor:
        """What those in the cache as each item of `now` comes, itself among them, say to it, by closeness (T, N, W)."""
        times = torch.arange(now.start, now.stop, device=self.leaves.device)[:, None]
        present = (self.leaves[:, : now.stop] > now.start).any(0).nonzero()[:, 0]  # at one of these times, in some task
        there = (present <= times) & (self.leaves[:, None, present] > times)
        cosines = self.items[:, now] @ self.items[:, present].mT
        return (closeness(cosines, beta) * there) @ self.says[:, present]


def closeness(cosines: Tensor, beta: float) -> Tensor:
    """1 for vectors that are the same, and the less the larger beta for others."""
    return (beta * (cosines - 1)).exp()
