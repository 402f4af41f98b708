"""Episodes of variable ways and shots, as Meta-Dataset draws them."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from torch import Tensor

from fewshot.episodes import checks
from fewshot.episodes.pool import Pool, pack
from fewshot.episodes.randomness import Randomness
from fewshot.episodes.sampler import Sampler
from fewshot.errors import InvalidInput


@dataclass(eq=False, repr=False)
class MetaDatasetSampler(Sampler):
    """Tasks of unequal ways and shots (Triantafillou et al. 2020, Meta-Dataset, section 3.2).

    For a task on classes of n_c items: ways uniform in min_ways..max_ways, or as many as there are; q = min(max_query,
    min_c floor(n_c / 2)) queries a class; a support set of S = min(max_support, sum_c floor(beta * min(
    max_contribution, n_c - q) + 1)) items, beta ~ U[0, 1); and min(floor(R_c / sum R * (S - ways)) + 1, n_c - q)
    shots for class c, where R_c = n_c * exp(U(log low, log high)) with `shot_noise` = (low, high).

    `groups` is the rule of Omniglot's alphabets: a uniform group first, then ways and classes within it. Classes of
    one item, and groups of fewer than min_ways classes, are left out with a warning, or raise if `strict`.
    Tensors are as wide as the constants allow; `Episodes.trim` narrows a slice.
    """

    labels: Any
    seed: int = 0
    groups: Any = None
    _: KW_ONLY
    min_ways: int = 5
    max_ways: int = 50
    max_query: int = 10
    max_support: int = 500
    max_contribution: int = 100
    shot_noise: tuple[float, float] = (0.5, 2.0)
    class_names: Sequence[str] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        checks.whole_number("min_ways", self.min_ways, 2)
        checks.whole_number("max_ways, not below min_ways,", self.max_ways, self.min_ways)
        checks.whole_number("max_query", self.max_query, 1)
        checks.whole_number("max_support, not below max_ways,", self.max_support, self.max_ways)
        checks.whole_number("max_contribution", self.max_contribution, 1)
        for bound in self.shot_noise:
            checks.positive("shot_noise", bound)
        if len(self.shot_noise) != 2 or self.shot_noise[0] > self.shot_noise[1]:
            raise InvalidInput(f"shot_noise must be (low, high), found {self.shot_noise}")
        self._read_labels()
        self._fill_pools()

    def _fill_pools(self) -> None:
        self._items = Pool(self._codes, len(self._classes))
        asks = [(self._items.sizes, 2, "items")]
        keep = checks.leave_out_small("classes", asks, self.min_ways, self._names, self.strict)
        self._keep_classes(keep, self.min_ways)
        self._widest = min(self.max_ways, int(self._class_pool.sizes.max()))
        self._most_support = min(self.max_support, self._widest * self.max_contribution)
        self._items_a_task = self._most_support + self._widest * self.max_query

    def _draw(self, random: Randomness) -> dict[str, Tensor]:
        group = self._choose_group(random)
        most = self._class_pool.sizes[group].clamp(max=self.max_ways)
        ways = self.min_ways + random.below("ways", most - self.min_ways + 1)
        classes = self._choose_classes(random, group, ways)
        shots, queries = self._counts(random, classes)
        support, query = self._items.deal(random, "items", classes, shots, queries)
        drawn = pack("support", support, self._most_support) | pack("query", query, self._widest * self.max_query)
        return drawn | {"classes": self._labels_of(classes, self._widest)}

    def _counts(self, random: Randomness, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Shots and queries of each class, (T, W), 0 where there is no class."""
        real = classes >= 0
        size = self._items.sizes[classes.clamp(min=0)]
        query = (size // 2).masked_fill(~real, self.max_query).amin(1, keepdim=True).clamp(max=self.max_query)
        rest = size - query
        beta = random.uniform("support size").unsqueeze(1)
        wanted = (beta * rest.clamp(max=self.max_contribution) + 1).floor().long()
        support = (wanted * real).sum(1, keepdim=True).clamp(max=self.max_support)
        low, high = (math.log(bound) for bound in self.shot_noise)
        noise = random.uniform("shots", classes.shape[1]) * (high - low) + low
        share = size * noise.exp() * real
        share = share / share.sum(1, keepdim=True)
        shots = (share * (support - real.sum(1, keepdim=True))).floor().long() + 1
        return shots.minimum(rest) * real, query * real
