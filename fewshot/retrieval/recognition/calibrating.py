"""What speaks for strangers (pictures of other classes, or the classes of the index left out), and the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition.asking import read_all
from fewshot.retrieval.recognition.rules import Rule, answer
from fewshot.retrieval.recognition.support import Support, support_of
from fewshot.retrieval.recognition.threshold import Threshold, conformal_threshold, turned

if TYPE_CHECKING:
    from fewshot.retrieval.index import Index
    from fewshot.retrieval.store import Snapshot

LEFT_OUT = 4096  # items that are looked at with their class left out
TOGETHER = 1024  # queries at a time

_EVIDENCE: WeakKeyDictionary[Snapshot, dict[tuple[Rule, int], tuple[np.ndarray, np.ndarray]]] = WeakKeyDictionary()


def calibrate(
    index: Index,
    false_accepts: float = 0.01,
    rule: Rule | Literal["knn", "mean"] = "knn",
    strangers: Any = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
) -> Threshold:
    """The threshold at which at most `false_accepts` of the pictures of unknown classes are accepted.

    With `strangers` (queries as `search` takes them, of classes that the index does not have) and their `classes` the
    promise is for new classes of the same kind; without `classes` it is for new pictures drawn as these were. Without
    strangers the classes of the index are left out one by one, at most 4,096 items drawn with `seed`: that promises
    the rate for unknown pictures that come as those in the index did, and says nothing where pictures that are asked
    look different from those that are indexed (photos and drawings): then give strangers.

    `conformal_threshold` has the formula and what is proved. Raises `InvalidInput` where there are too few classes, or
    pictures, for so small a rate.
    """
    rule = Rule(rule) if isinstance(rule, str) else rule
    support = support_of(index)
    if strangers is None:
        if classes is not None:
            raise InvalidInput("classes of strangers were given without strangers")
        evidence, groups = left_out_evidence(support, rule, seed)
    else:
        evidence, groups = _evidence_of(index, support, rule, strangers, classes)
    if not np.isfinite(evidence).all():
        raise InvalidInput(f"{len(support.names)} classes are too few for a {rule.evidence} of strangers; add classes")
    at = conformal_threshold(evidence, groups, false_accepts, left_out=strangers is None)
    return Threshold(
        turned(at, rule, support.metric),
        false_accepts,
        rule,
        support.metric,
        len(np.unique(groups)),
        len(evidence),
        "index" if strangers is None else "strangers",
    )


def left_out_evidence(support: Support, rule: Rule, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (n,) for the class that items of the index are taken for when their own is left out; their own classes.

    As many items of each class as make about 4,096 together, drawn with `seed`; of more classes one item of 4,096.
    """
    kept = _EVIDENCE.setdefault(support.snapshot, {})
    if (rule, seed) not in kept:
        if len(support.names) < 2:
            raise InvalidInput("an index of one class can't tell strangers by leaving it out; give strangers")
        places = _sample(support.classes, len(support.names), seed)
        vectors, own = (
            support.snapshot.vectors(support.snapshot.positions(support.ids[places])),
            support.classes[places],
        )
        parts = range(0, len(places), TOGETHER)
        found = [answer(support, vectors[p : p + TOGETHER], rule, own[p : p + TOGETHER]) for p in parts]
        kept[rule, seed] = np.concatenate([each.evidence(rule) for each in found]), own
    return kept[rule, seed]


def _sample(classes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of a sample that is spread evenly over the classes."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    grouped = shuffled[np.argsort(classes[shuffled], kind="stable")]
    sizes = np.bincount(classes, minlength=count)
    turn = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0 for the first of its class, ...
    chosen = grouped[turn < max(1, LEFT_OUT // count)]
    if count > LEFT_OUT:
        chosen = np.random.default_rng(seed).choice(chosen, LEFT_OUT, replace=False)
    return np.sort(chosen)


def _evidence_of(
    index: Index, support: Support, rule: Rule, strangers: Any, classes: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    vectors = np.concatenate([asked.vectors for asked in read_all(index, strangers)])
    if classes is not None:
        if len(classes) != len(vectors):
            raise InvalidInput(f"{len(vectors)} strangers need as many classes, found {len(classes)}")
        if known := sorted(set(classes) & set(support.names)):
            raise InvalidInput(f"{', '.join(known[:5])}: in the index, so their pictures are no strangers")
    parts = range(0, len(vectors), TOGETHER)
    found = [answer(support, vectors[p : p + TOGETHER], rule).evidence(rule) for p in parts]
    return np.concatenate(found), np.arange(len(vectors)) if classes is None else np.asarray(classes)
