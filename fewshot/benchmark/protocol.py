"""A protocol: which items, which tasks, how many. Two results with equal protocols answer the same questions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from fewshot.datasets import describe_dataset
from fewshot.errors import InvalidInput, UnknownName
from fewshot.fingerprint import fingerprint
from fewshot.learners.tuning import Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from fewshot.embeddings import EmbeddingTable
    from fewshot.episodes import EpisodeSampler, SplitSampler

Half = Literal["base", "new"]

_DESCRIBED = "+descriptions"


@dataclass(frozen=True)
class Protocol:
    """Few-shot classification of `dataset`: `episodes` tasks of `ways` classes, `shots` support items a class.

    `queries` is a number of items a class. `base` names what learners may see beforehand: a class-disjoint split of the
    same data set, or nothing. `query_imbalance` is the concentration of a Dirichlet distribution over the query counts
    (None: balanced). `unlabelled` are further items a class that semi-supervised learners may use, some of them from
    `distractors` classes that the task does not ask for. `support_domain` and `query_domain` draw the two from
    different domains of a data set that has them; `groups` names a grouping that each task stays within (`alphabet`).

    With a `pool`, an episode is a draw of the support: all classes, `shots` items of each from the pool, and every item
    of `split` as a query. The pool is another split, a part of a grouping (`part=train`; `split` may be one too), or a
    share of each class (`2/3`), whose other items are then the queries; `none` tests all items. With 0 `shots`, which
    take a pool, nothing is learned from images, and the words say all. `words` names the prompt templates from which
    learners with words get their text vectors, followed by `+descriptions` where the data set's descriptions of its
    classes are prompts too; `none+descriptions` is these alone. `tuning` says how settings are chosen: "few" sees at
    most four (and at most `shots`) further labelled items a class from the pool, "full" all of the pool that is not in
    the support. `half` divides the classes in two, in their order, the first half the larger (Zhou et al. 2022, CVPR,
    section 4.1): "base" draws supports and queries from the first, "new" asks learners that transfer for the second
    after the same supports, if each class of the first has items to test.
    """

    dataset: str
    split: str = "all"
    ways: int | Literal["all"] = 5
    shots: int = 1
    queries: int = 15
    episodes: int = 600
    seed: int = 0
    base: str | None = None
    query_imbalance: float | None = None
    unlabelled: int = 0
    distractors: int = 0
    support_domain: str | None = None
    query_domain: str | None = None
    groups: str | None = None
    pool: str | None = None
    words: str | None = None
    tuning: Tuning = "none"
    half: Half | None = None

    def __post_init__(self) -> None:
        chosen = self.tuning in ("few", "full")
        if self.pool and self.ways != "all":
            raise InvalidInput(f"with a pool ({self.pool}) a task has all classes; set ways='all', found {self.ways}")
        if chosen and not self.pool:
            raise InvalidInput(
                f"tuning {self.tuning!r} takes validation items from a pool; name one, such as pool='2/3'"
            )
        if not self.shots and (not self.pool or chosen):
            raise InvalidInput(
                "0 shots leave the words alone, of all classes and untuned: set ways='all' and a pool, such as 'none'"
            )
        if self.pool == "none" and (self.shots or self.half):
            raise InvalidInput("pool 'none' holds nothing to learn from: set shots=0 and no half")
        if self.half not in (None, *get_args(Half)):
            raise InvalidInput(f"half must be base or new, found {self.half!r}")
        if self.half and not self.pool:
            raise InvalidInput("halves of the classes need a pool to draw supports from; name one, such as pool='2/3'")

    @property
    def task(self) -> str:
        """The shape of a task in words: `5-way 1-shot`."""
        words = f"{self.ways}-way {self.shots}-shot"
        if self.query_imbalance is not None:
            words += f", Dirichlet({self.query_imbalance:g})"
        if self.unlabelled:
            words += f", {self.unlabelled} unlabelled"
        if self.distractors:
            words += f" and {self.distractors} distractor classes"
        if self._crosses:
            words += f", {self.support_domain} → {self.query_domain}"
        if self.groups:
            words += f", within {self.groups}"
        words += f", pool {self.pool}" if self.pool else ""
        words += f", words {self.words}" if self.words else ""
        words += f", tuning {self.tuning}" if self.tuning != "none" else ""
        words += f", {self.half} half" if self.half else ""
        return words

    @property
    def name(self) -> str:
        """A name that is a valid file name and tells every setting apart."""
        queries = "" if self.pool else f"{self.queries}q"
        parts = [self.dataset, self.split, f"{self.ways}w{self.shots}s{queries}", f"{self.episodes}e"]
        parts += [f"seed{self.seed}"]
        parts += [f"base-{self.base}"] if self.base else []
        parts += [f"dirichlet{self.query_imbalance:g}"] if self.query_imbalance is not None else []
        parts += [f"{self.unlabelled}u{self.distractors}d"] if self.unlabelled else []
        parts += [f"{self.support_domain}-to-{self.query_domain}"] if self._crosses else []
        parts += [f"within-{self.groups}"] if self.groups else []
        parts += [f"pool-{self.pool}"] if self.pool else []
        parts += [f"words-{self._words_name}"] if self.words else []
        parts += [f"tuning-{self.tuning}"] if self.tuning != "none" else []
        parts += [f"half-{self.half}"] if self.half else []
        return "_".join(parts)

    @property
    def prompts(self) -> tuple[str | None, bool]:
        """What `words` says: a template set or template, None for none, and whether descriptions are prompts too."""
        name = str(self.words).removesuffix(_DESCRIBED)
        return None if name == "none" else name, name != self.words

    @property
    def _words_name(self) -> str:
        """`words`, or where it is a template of one's own, which few file names can hold, its fingerprint."""
        name, described = self.prompts
        own = name is not None and "{}" in name
        return f"own-{fingerprint(name)}{_DESCRIBED if described else ''}" if own else str(self.words)

    @property
    def _crosses(self) -> bool:
        return bool(self.support_domain or self.query_domain)

    def sampler(self, table: EmbeddingTable) -> EpisodeSampler:
        """The sampler that draws these tasks from `table`; raises `SamplingError` when it cannot give them."""
        from fewshot.episodes import EpisodeSampler

        return EpisodeSampler(
            table.labels,
            ways=self.ways,
            shots=self.shots,
            queries=self.queries,
            seed=self.seed,
            query_imbalance=self.query_imbalance,
            unlabelled=self.unlabelled,
            distractors=self.distractors,
            groups=_grouping(table, self.groups) if self.groups else None,
            domains=_grouping(table, "domain") if self._crosses else None,
            support_domain=self.support_domain,
            query_domain=self.query_domain,
            class_names=table.class_names,
        )

    def split_sampler(self, table: EmbeddingTable, pool: Tensor) -> SplitSampler:
        """The sampler of a protocol with a pool, given the table of pool and test items and the pool's mask (N,)."""
        import torch

        from fewshot.episodes import SplitSampler

        held: dict[str, int | Literal["rest"]] = {"few": min(self.shots, 4), "full": "rest"}
        base = torch.ones_like(pool)
        if self.half:
            classes = len(table.class_names)
            if classes < 4:
                raise InvalidInput(f"{self.dataset} has {classes} classes; two halves of two classes need 4 or more")
            base = table.labels.cpu() < (classes + 1) // 2
        return SplitSampler(
            table.labels,
            pool=pool & base,
            test=~pool & (~base if self.half == "new" else base),
            shots=self.shots,
            validation=held.get(self.tuning, 0),
            seed=self.seed,
            new=self.half == "new",
            class_names=table.class_names,
        )

    def to_json(self) -> dict[str, Any]:
        """Every setting, as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Protocol:
        """Read what `to_json` wrote; settings of a later version raise `InvalidInput`."""
        unknown = content.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise InvalidInput(f"protocol settings {sorted(unknown)} are not known to this fewshot; upgrade it")
        return cls(**content)


def default_split(dataset: str) -> str:
    """`test` where the data set has a class-disjoint test split, else `all`."""
    return "test" if "test" in _splits(dataset) else "all"


def default_base(dataset: str, split: str) -> str | None:
    """`train` where the test split has a training split beside it, else nothing."""
    return "train" if split == "test" and "train" in _splits(dataset) else None


def _splits(dataset: str) -> Collection[str]:
    own = dataset.startswith(("folder:", "zip:"))
    return () if own else describe_dataset(dataset)["splits"]


def _grouping(table: EmbeddingTable, name: str) -> Any:
    if name not in table.groups:
        raise UnknownName("group", name, table.groups, hint="this data set does not have it")
    return table.groups[name]
