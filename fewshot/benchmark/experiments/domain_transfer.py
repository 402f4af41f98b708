"""An experiment of unsupervised domain adaptation: a method on features of two domains, a pair an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from fewshot.benchmark.experiments.measured import AdaptedOurs, Measured
from fewshot.benchmark.experiments.published import Paper, Published, check_results
from fewshot.embeddings import EmbeddingTable
from fewshot.errors import UnknownName
from fewshot.transfer.domains import Adaptation, create_adaptation
from fewshot.transfer.domains.domain_data import FEATURE_TABLES


@dataclass(frozen=True)
class DomainPair(Published):
    """From a labelled `source` to a `target` whose labels only score."""

    source: str
    target: str


@dataclass(frozen=True)
class DomainTransfer:
    """A method that adapts from one domain of a table of features to another, all items of both.

    method, settings: the adaptation and its settings; table: the features, with their domains as a group. `id`,
    `paper`, `note`, `ours` and `finding` as in `Experiment`. Raises `InvalidInput` or `UnknownName` for names, settings
    or results that cannot be.
    """

    id: str
    paper: Paper
    method: str
    settings: Mapping[str, Any]
    table: str
    evaluations: tuple[DomainPair, ...]
    note: str = ""
    ours: AdaptedOurs | None = None
    finding: str = ""

    def __post_init__(self) -> None:
        self.adaptation()
        if self.table not in FEATURE_TABLES:
            raise UnknownName("table of features", self.table, FEATURE_TABLES)
        check_results(self.evaluations, self.ours.results if self.ours else None)

    def adaptation(self) -> Adaptation:
        """The method with its settings; raises what `create_adaptation` raises."""
        return create_adaptation(self.method, **self.settings)

    def task(self, pair: DomainPair) -> str:
        """In words: `caltech to amazon`."""
        return f"{pair.source} to {pair.target}"

    def load(self) -> EmbeddingTable:
        """The features; raises `MissingData` where they are not at hand."""
        return FEATURE_TABLES[self.table]()

    def measure(self, table: EmbeddingTable, pair: DomainPair) -> Measured:
        """The share of the target's items that come out right, with the interval of a share among so many.

        Raises `UnknownName` for a domain that the table lacks, `InvalidInput` for what the method refuses.
        """
        domains = table.groups["domain"]
        for name in (pair.source, pair.target):
            if name not in domains.names:
                raise UnknownName(f"domain of {self.table}", name, domains.names)
        source, target = ((domains.codes == domains.names.index(name)) for name in (pair.source, pair.target))
        found = self.adaptation().adapt(table.features[source], table.labels[source], table.features[target])
        count = int(target.sum())
        right = float((found == table.labels[target]).double().mean())
        half_width = 1.96 * sqrt(right * (1 - right) / count)
        return Measured(round(100 * right, 3), round(100 * half_width, 3), count, 0)
