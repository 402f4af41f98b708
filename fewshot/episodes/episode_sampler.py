"""Episodes of fixed ways and shots, with the variations that the literature evaluates."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.episodes import checks
from fewshot.episodes.dirichlet import imbalanced_counts
from fewshot.episodes.near_classes import near_classes
from fewshot.episodes.pool import Pool, pack
from fewshot.episodes.randomness import Randomness
from fewshot.episodes.sampler import Sampler
from fewshot.errors import InvalidInput


@dataclass(eq=False, repr=False)
class EpisodeSampler(Sampler):
    """Tasks of `ways` classes, with `shots` support and `queries` query items a class.

    Classes are drawn uniformly and their items without replacement. A class with too few items is left out with a
    warning, or raises `SamplingError` if `strict`; too few classes always raise it.

    labels: the class of each item, integers (N,).
    ways: classes of a task, or "all": every class that is large enough, in random order.
    query_imbalance: alpha of a symmetric Dirichlet distribution (Veilleux et al. 2021, who take 2). The ways * queries
        queries of a task are then split at random among its classes, and a class may get none. What a class cannot
        give goes to the others, see `imbalanced_counts`.
    unlabelled: further items of each class, for semi-supervised learners (Ren et al. 2018).
    distractors: classes beside the task's own, large enough as well, whose items are among the unlabelled ones.
    groups: a code for each item, or a `Grouping`: all classes of a task come from one group, drawn uniformly among
        those with enough classes (an alphabet of Omniglot, say).
    domains, support_domain, query_domain: a code for each item, or a `Grouping`, and the two domains by code or name:
        support comes from the one, queries and unlabelled items from the other.
    class_distance, nearness: distances between classes, (C, C) by label: tasks of near classes, see `near_classes`.
    class_names: names for messages; without them classes are called by label.
    """

    labels: Any
    ways: int | str = 5
    shots: int = 1
    queries: int = 15
    seed: int = 0
    _: KW_ONLY
    query_imbalance: float | None = None
    unlabelled: int = 0
    distractors: int = 0
    groups: Any = None
    domains: Any = None
    support_domain: int | str | None = None
    query_domain: int | str | None = None
    class_distance: Any = None
    nearness: float = 5.0
    class_names: Sequence[str] | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        self._check()
        self._read_labels()
        self._fill_pools()
        sizes = self._class_pool.sizes[self._large_groups]
        self._widest = int(sizes.max()) if self.ways == "all" else int(self.ways)
        per_class = self.shots + self.queries + self.unlabelled
        self._items_a_task = (self._widest + self.distractors) * per_class
        self._distance: Tensor | None = None
        if self.class_distance is not None:
            self._distance = checks.distances(self.class_distance, self._classes)
            self._items_a_task += len(self._classes)

    def _check(self) -> None:
        if self.ways != "all":
            checks.whole_number('ways, unless "all",', self.ways, 2)
        checks.whole_number("shots", self.shots, 1)
        checks.whole_number("queries", self.queries, 0)
        checks.whole_number("unlabelled", self.unlabelled, 0)
        checks.whole_number("distractors", self.distractors, 0)
        if self.query_imbalance is not None:
            checks.positive("query_imbalance", self.query_imbalance)
        if self.distractors and (self.unlabelled == 0 or self.ways == "all"):
            raise InvalidInput("distractors need unlabelled items a class and ways that leave classes over")
        given = [value is not None for value in (self.domains, self.support_domain, self.query_domain)]
        if any(given) and not all(given):
            raise InvalidInput("domains, support_domain and query_domain must be given together, found some of them")
        if self.class_distance is not None and (self.groups is not None or self.ways == "all"):
            raise InvalidInput('class_distance chooses classes over all groups; drop groups and ways="all"')
        checks.positive("nearness", self.nearness)

    def _fill_pools(self) -> None:
        """Sort the items by class, and keep the classes that can give what a task asks of them."""
        rest, count = self.queries + self.unlabelled, len(self._classes)
        if self.domains is None:
            self._support_pool = self._query_pool = Pool(self._codes, count)
            asks = [(self._support_pool.sizes, self.shots + rest, "items")]
        else:
            codes = checks.codes("domains", self.domains, len(self.labels))
            here, there = (checks.domain_code(d, self.domains) for d in (self.support_domain, self.query_domain))
            if here == there:
                raise InvalidInput(f"support_domain and query_domain must differ, found {here} for both")
            self._support_pool = Pool(self._codes, count, codes == here)
            self._query_pool = Pool(self._codes, count, codes == there)
            asks = [
                (self._support_pool.sizes, self.shots, f"items in domain {self.support_domain!r}"),
                (self._query_pool.sizes, rest, f"items in domain {self.query_domain!r}"),
            ]
        least = 2 if self.ways == "all" else int(self.ways) + self.distractors
        keep = checks.leave_out_small("classes", asks, least, self._names, self.strict)
        self._keep_classes(keep, least)

    def _draw(self, random: Randomness) -> dict[str, Tensor]:
        classes = self._draw_classes(random)
        own = (classes >= 0) & (torch.arange(classes.shape[1]) < self._widest)
        shots, queries = own * self.shots, self._query_counts(random, classes, own)
        extra = (classes >= 0) * self.unlabelled
        if self.domains is None:
            support, query, unlabelled = self._support_pool.deal(random, "items", classes, shots, queries, extra)
        else:
            (support,) = self._support_pool.deal(random, "support items", classes, shots)
            query, unlabelled = self._query_pool.deal(random, "query items", classes, queries, extra)
        drawn = pack("support", support, self._widest * self.shots) | pack("query", query, self._widest * self.queries)
        if self.unlabelled:
            width = (self._widest + self.distractors) * self.unlabelled
            drawn |= pack("unlabelled", unlabelled, width, ways=self._widest)
        return drawn | {"classes": self._labels_of(classes[:, : self._widest], self._widest)}

    def _draw_classes(self, random: Randomness) -> Tensor:
        """The task's classes and then its distractor classes, (T, ways + distractors), -1 pads."""
        if self._distance is not None:
            count = self._widest + self.distractors
            return near_classes(random, self._distance, self._class_pool.members, count, self.nearness)
        group = self._choose_group(random)
        counts = self._class_pool.sizes[group]
        if self.ways != "all":
            counts = torch.full_like(counts, self._widest + self.distractors)
        return self._choose_classes(random, group, counts)

    def _query_counts(self, random: Randomness, classes: Tensor, own: Tensor) -> Tensor:
        """How many queries each class gives, (T, R)."""
        if self.query_imbalance is None:
            return own * self.queries
        room = self._query_pool.sizes[classes.clamp(min=0)] - self.unlabelled
        if self.domains is None:
            room = room - self.shots
        return imbalanced_counts(random, self.query_imbalance, own.sum(1) * self.queries, room * own)
