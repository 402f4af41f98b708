"""Sources ranked by every score, and how far the scores agree."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.errors import FewshotWarning, FingerprintMismatch, InvalidInput
from fewshot.learners import create_learner
from fewshot.transfer.transferability.agreement import spearman, weighted_tau
from fewshot.transfer.transferability.checks import check_features
from fewshot.transfer.transferability.score import SCORES, TRUSTED, Score

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.embeddings import EmbeddingTable


@dataclass(frozen=True)
class Source:
    """A candidate: its features (N, D) of the target's items and, where it has a classifier, probabilities (N, Z)."""

    name: str
    features: Tensor
    probabilities: Tensor | None = None

    @classmethod
    def of(cls, name: str, backbone: Backbone, table: EmbeddingTable) -> Source:
        """A backbone over its embedding of the target, with the classifier it was pretrained with if there is one."""
        features = table.features.float()
        head = backbone.head
        probabilities = None if head is None else head(features.to(backbone.device)).double().softmax(1).cpu()
        return cls(name, features, probabilities)

    @classmethod
    def trained_on(cls, source: EmbeddingTable, target: EmbeddingTable, name: str = "") -> Source:
        """A labelled source data set, by a head for its classes over the features that both tables share.

        The head is ridge regression over features of length 1, whose outputs, ten times, are the logits: closed form,
        however many classes there are. The features of the target are those of every such source, so only scores of
        the head tell sources apart. Raises `FingerprintMismatch` for tables of different backbones.
        """
        if source.backbone != target.backbone:
            raise FingerprintMismatch(
                f"the head learns from {source.name} and answers {target.name}, with features of another backbone; "
                "embed both with the same backbone, precision and layers"
            )
        known, features = (normalize(table.features.float(), dim=1) for table in (source, target))
        head = create_learner("ridge", scale=10.0).fit(known[None], source.labels[None], len(source.class_names))
        return cls(name or source.name, target.features.float(), head(features[None])[0].double().softmax(1))


@dataclass(frozen=True)
class Ranking:
    """What each score says of each source: `values[score]` in the order of `sources`, NaN where it cannot be had."""

    sources: tuple[str, ...]
    values: dict[str, tuple[float, ...]]

    def ranks(self, score: str) -> tuple[float, ...]:
        """1 for the best source, the mean rank for equal ones, NaN for a source without that score."""
        values = self.values[score]
        known = [value for value in values if not math.isnan(value)]
        return tuple(
            math.nan if math.isnan(value) else sum(o > value for o in known) + (sum(o == value for o in known) + 1) / 2
            for value in values
        )

    @property
    def counted(self) -> tuple[str, ...]:
        """The scores that the order goes by: those of `TRUSTED` that every source has, or else all such scores."""
        whole = [score for score, values in self.values.items() if not any(map(math.isnan, values))]
        return tuple(score for score in TRUSTED if score in whole) or tuple(whole)

    @property
    def mean_ranks(self) -> tuple[float, ...]:
        """The mean rank of each source over the scores that count; NaN where there are none."""
        counted = [self.ranks(score) for score in self.counted]
        if not counted:
            return tuple(math.nan for _ in self.sources)
        return tuple(sum(ranks[place] for ranks in counted) / len(counted) for place in range(len(self.sources)))

    @property
    def order(self) -> tuple[str, ...]:
        """The sources from best to worst by mean rank."""
        return tuple(self.sources[place] for place in sorted(range(len(self.sources)), key=self.mean_ranks.__getitem__))

    def agreement(self, scores: Sequence[str] | None = None) -> dict[str, float]:
        """Spearman's rho of each pair of scores, "logme, gbc", over the sources that both have; two or more."""
        found = {}
        for one, other in combinations(scores or self.values, 2):
            pairs = [(a, b) for a, b in zip(self.values[one], self.values[other], strict=True) if a == a and b == b]
            if len(pairs) > 1:
                found[f"{one}, {other}"] = spearman(*map(list, zip(*pairs, strict=True)))
        return found

    def against(self, truth: Sequence[float]) -> dict[str, dict[str, float]]:
        """For each score its weighted tau and Spearman's rho with what was measured of the same sources."""
        found = {}
        for score, values in self.values.items():
            pairs = [(a, b) for a, b in zip(values, truth, strict=True) if not math.isnan(a)]
            if len(pairs) > 1:
                a, b = map(list, zip(*pairs, strict=True))
                found[score] = {"weighted_tau": weighted_tau(a, b), "spearman": spearman(a, b), "sources": len(pairs)}
        return found

    def to_json(self) -> dict[str, Any]:
        """Scores, ranks, order and agreement; what is not known is null."""
        return {
            "order": list(self.order),
            "counted": list(self.counted),
            "sources": [
                {
                    "source": name,
                    "mean_rank": _known(self.mean_ranks[place]),
                    "scores": {score: _known(values[place]) for score, values in self.values.items()},
                }
                for place, name in enumerate(self.sources)
            ],
            "agreement": {pair: _known(value) for pair, value in self.agreement().items()},
        }


def rank_sources(sources: Sequence[Source], labels: Tensor, scores: Sequence[str] | None = None) -> Ranking:
    """Every source by every score, or by those named, on the same labelled items of the target.

    labels (N,), one for each row of every source. Scores of a source head are NaN for a source without one, and left
    out where none has one; so are, with a warning, those that need more items than there are. A score that is named is
    never left out. Values keep ten digits, so that equal sources tie whatever the rounding.

    Raises `InvalidInput` for fewer than two sources, names that repeat, features or labels that no score takes, or
    whatever a named score refuses, and `UnknownName` for a score that does not exist.
    """
    names = tuple(source.name for source in sources)
    if len(names) < 2 or len(set(names)) < len(names):
        raise InvalidInput(f"a ranking needs two sources or more, of different names, found {', '.join(names) or '-'}")
    labels = torch.as_tensor(labels)
    for source in sources:
        check_features(source.features, labels)
    if scores:
        return Ranking(names, {name: _measured(SCORES[name], sources, labels) for name in scores})
    values: dict[str, tuple[float, ...]] = {}
    for name in SCORES:
        if SCORES[name].needs_head and all(source.probabilities is None for source in sources):
            continue
        try:
            values[name] = _measured(SCORES[name], sources, labels)
        except InvalidInput as error:
            warnings.warn(f"the score {name} is left out: {error}", FewshotWarning, stacklevel=2)
    return Ranking(names, values)


def _measured(score: Score, sources: Sequence[Source], labels: Tensor) -> tuple[float, ...]:
    """The score of each source, NaN for one without the head that it needs; some source must have one."""
    if score.needs_head and all(source.probabilities is None for source in sources):
        score.of(sources[0].features, labels)  # says what is missing
    return tuple(
        math.nan
        if score.needs_head and source.probabilities is None
        else float(f"{score.of(source.features, labels, source.probabilities):.10g}")
        for source in sources
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
