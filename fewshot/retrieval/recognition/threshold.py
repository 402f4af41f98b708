"""A threshold of rejection that keeps a rate of false accepts: split conformal prediction over strangers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.recognition.rules import Rule

ROUNDING = 1e-12


@dataclass(frozen=True)
class Threshold:
    """A query is accepted where the evidence for its class is more than `at`; as much is too little.

    The evidence is told by `rule`: the score, as the index of this `metric` gives it (with l2 less is more), or the
    margin. `false_accepts` is the rate that was asked for; `classes` and `items` say of how many strangers' classes and
    pictures it was made, `source` where these were from ("strangers", or "index" for the classes of the index left out
    one by one; "given" for a number that was given).
    """

    at: float
    false_accepts: float
    rule: Rule
    metric: str
    classes: int
    items: int
    source: str

    def accepts(self, evidence: np.ndarray) -> np.ndarray:
        """For evidence of any shape, as `Answers.evidence` gives it, whether it is enough."""
        return np.asarray(evidence > turned(self.at, self.rule, self.metric))

    def to_json(self) -> dict[str, Any]:
        """All of it, ready for JSON; a number that is not finite as a word."""
        return {**asdict(self), "at": self.at if math.isfinite(self.at) else str(self.at)}


def turned(at: float, rule: Rule, metric: str) -> float:
    """From a score as the index gives it to evidence that is more where it is larger, and back."""
    return -at if metric == "l2" and rule.evidence == "score" else at


def conformal_threshold(evidence: np.ndarray, groups: np.ndarray, false_accepts: float, left_out: bool) -> float:
    """The evidence that strangers exceed with a probability of `false_accepts` at most.

    evidence (n,) for the class that each stranger would be taken for, larger is more; groups (n,) their classes, or all
    different where every picture is drawn on its own. With C groups the weight of a picture in a group of m is
    w = 1 / (m (C + 1)), and evidence s is accepted where

        sum of w over the strangers with evidence >= s, plus (1 + e) / (C + 1)  <=  false_accepts.

    The threshold is the largest s that is not. With one picture a group and e = 0 this is the quantile of split
    conformal prediction (Vovk et al. 2005; Papadopoulos et al. 2002), the ceil((1 - a)(C + 1))-th smallest of C, and
    with several that of hierarchical conformal prediction (Lee, Barber and Willett 2023, arXiv:2306.06342): where a
    new stranger's class and those of calibration are exchangeable, P(accepted) <= a, over the draw of both, whatever
    their distribution.

    `left_out` says that the strangers are the items of the index with their own class left out, and sets e = 1. Such an
    item meets C - 1 classes, a real stranger C. Full conformal prediction would let the stranger join the index; then
    only the item it is nearest to can rise to its score or above, as the closeness of two items is the same from both
    sides. Counting that one always keeps P(accepted) <= a for one item a class and the score of the nearest item;
    for other rules, several items a class, and margins it comes near to it, without proof.

    Raises `InvalidInput` where so few groups cannot show so small a rate.
    """
    if not 0 < false_accepts < 1:
        raise InvalidInput(f"the rate of false accepts must be between 0 and 1, found {false_accepts}")
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    count = len(sizes)
    budget = false_accepts - (1 + left_out) / (count + 1)
    if budget < -ROUNDING:
        least = math.ceil((1 + left_out) / false_accepts - ROUNDING) - 1
        what = "classes in the index, left out one by one," if left_out else "classes of strangers"
        raise InvalidInput(
            f"{count} {what} can't prove a rate of false accepts of {false_accepts:g}: at least {least} are needed; "
            f"ask for {math.ceil(1000 * (1 + left_out) / (count + 1)) / 1000:g} or more, or give more strangers"
        )
    order = np.argsort(-evidence, kind="stable")
    falling = evidence[order]
    reached = np.cumsum(1 / (sizes[group[order]] * (count + 1)))
    last_equal = np.searchsorted(-falling, -falling, side="right") - 1
    over = np.flatnonzero(reached[last_equal] > budget + ROUNDING)
    return float(falling[over[0]]) if len(over) else -math.inf
