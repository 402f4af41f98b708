"""`classify`: what class of the index a picture shows, or none of them; `as_learner`: the same as a learner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition.asking import read_all
from fewshot.retrieval.recognition.calibrating import TOGETHER, calibrate
from fewshot.retrieval.recognition.rules import Answers, Rule, answer
from fewshot.retrieval.recognition.support import Support, support_of
from fewshot.retrieval.recognition.threshold import Threshold

if TYPE_CHECKING:
    from fewshot.learners import Learner
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.search.queries import Queries

UNTRAINED = ("Flat", "HNSW")  # kinds of index that a handful of vectors is enough for


@dataclass(frozen=True)
class Recognised:
    """What one query was taken for.

    `label` is the class that won and `score` its score as the index gives it (cosine or inner product, larger is
    nearer; squared distance, smaller is nearer); `share` its part of the votes. `runner_up` is the second class, None
    in an index of one. `accepted` is False where the score is not nearer than the threshold, True without one.
    `nearest` is the id of the winner's nearest item and `key` what that is called; None by class means.
    """

    query: str
    label: str
    score: float
    share: float
    runner_up: str | None
    runner_up_score: float | None
    accepted: bool
    nearest: int | None
    key: str | None

    @property
    def name(self) -> str | None:
        """The label where it is accepted, else None."""
        return self.label if self.accepted else None

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return dict(vars(self))


def classify(
    index: Index,
    images: Any,
    k: int | None = None,
    rule: Rule | Literal["knn", "mean"] = "knn",
    reject_at: float | Threshold | None = None,
    false_accepts: float | None = None,
) -> Recognised | list[Recognised]:
    """What class of the index each of `images` shows; one `Recognised`, or a list for a list.

    images: pictures or their files, vectors, ids or texts, as `search` takes them. The labelled items are the support
    set: a class is there as soon as an item of it was added, and gone with its last. `rule` is "knn", the vote of the
    `k` nearest items (1 by default), or "mean", the nearest class mean; a `Rule` tells also how votes are weighed.

    `reject_at`: a score, or what `calibrate` gave; `false_accepts` calibrates here, by leaving out the classes of the
    index one by one. Raises `InvalidInput` for an index without labels, for k beyond its labelled items, and for a
    threshold of another rule or metric.
    """
    rule = Rule(rule) if isinstance(rule, str) else rule
    rule = rule if k is None else replace(rule, k=k)
    if reject_at is not None and false_accepts is not None:
        raise InvalidInput("give reject_at or false_accepts, not both")
    support = support_of(index)
    threshold = _threshold(index, rule, reject_at, false_accepts)
    parts = read_all(index, images)
    told = [each for asked in parts for each in _recognise(support, asked, rule, threshold)]
    return told if parts[0].several else told[0]


def as_learner(index: Index, rule: Rule | Literal["knn", "mean"] = "knn", kind: str | None = None) -> Learner:
    """The learner that recognises as this index does: same metric, rule and kind of index (`kind`, a FAISS factory).

    A kind that has to be trained on more vectors than a support holds gives way to exact search unless it is named.
    """
    from fewshot.retrieval.recognition.learner import IndexLearner

    rule = Rule(rule) if isinstance(rule, str) else rule
    if kind is None:
        own = str(index.manifest.settings.get("factory", "Flat"))
        kind = own if own.startswith(UNTRAINED) and "," not in own else "Flat"
    return IndexLearner(rule.name, rule.k, kind, index.manifest.metric, rule.weights, rule.temperature)  # type: ignore[arg-type]


def _threshold(
    index: Index, rule: Rule, reject_at: float | Threshold | None, false_accepts: float | None
) -> Threshold | None:
    metric = index.manifest.metric
    if false_accepts is not None:
        return calibrate(index, false_accepts, rule)
    if reject_at is None or isinstance(reject_at, Threshold):
        if reject_at is not None and (reject_at.rule != rule or reject_at.metric != metric):
            raise InvalidInput(
                f"the threshold is for {reject_at.metric}, {reject_at.rule}, this is {metric}, {rule}: calibrate anew"
            )
        return reject_at
    if not np.isfinite(reject_at):
        raise InvalidInput(f"reject_at must be a finite score, found {reject_at}")
    return Threshold(float(reject_at), float("nan"), rule, metric, 0, 0, "given")


def _recognise(support: Support, asked: Queries, rule: Rule, threshold: Threshold | None) -> Iterator[Recognised]:
    parts = [answer(support, asked.vectors[p : p + TOGETHER], rule) for p in range(0, len(asked.vectors), TOGETHER)]
    found = Answers(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    evidence = found.evidence(rule)
    if threshold is not None and not np.isfinite(evidence).all():
        raise InvalidInput(
            "a margin is ahead of a second class, and the index has one; add another, or go by the score"
        )
    accepted = np.full(len(evidence), True) if threshold is None else threshold.accepts(evidence)
    voted = found.nearest >= 0
    keys = iter(support.snapshot.keys(support.snapshot.positions(found.nearest[voted])))
    sign = -1.0 if support.metric == "l2" else 1.0
    for row, name in enumerate(asked.names):
        second = int(found.runner_up[row])
        yield Recognised(
            name,
            support.names[found.classes[row]],
            sign * float(found.closeness[row]),
            float(found.share[row]),
            support.names[second] if second >= 0 else None,
            sign * float(found.runner_up_closeness[row]) if second >= 0 else None,
            bool(accepted[row]),
            int(found.nearest[row]) if voted[row] else None,
            next(keys) if voted[row] else None,
        )
