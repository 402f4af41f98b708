"""Is the difference real? Two learners, or two backbones, on the same tasks, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fewshot.benchmark.result import Result
from fewshot.errors import InvalidInput
from fewshot.metrics import paired_test


@dataclass(frozen=True)
class Comparison:
    """Accuracy of `a` minus accuracy of `b` over the same episodes.

    `difference` ± `ci95` (t-interval of the paired differences), `p_value` of a paired t-test, `adjusted_p` after
    Holm's correction over all comparisons made together.
    """

    a: Result
    b: Result
    difference: float
    ci95: float
    p_value: float
    adjusted_p: float

    @property
    def better(self) -> Literal["a", "b", ""]:
        """Which one is better at the 5 % level after correction; empty when no difference is shown."""
        if self.adjusted_p >= 0.05 or self.difference == 0:
            return ""
        return "a" if self.difference > 0 else "b"


def compare(a: Sequence[Result], b: Sequence[Result]) -> list[Comparison]:
    """Pair the results of `a` with those of `b` that differ only in learner or only in backbone, and test each pair.

    Raises `InvalidInput` when no two results share a protocol and its episodes.
    """
    pairs = [(left, right) for left in a for right in b if _comparable(left, right)]
    if not pairs:
        raise InvalidInput(
            f"none of the {len(a)} and {len(b)} results share data, protocol and episodes while differing in learner "
            "or backbone alone; run both with the same settings and seed"
        )
    tests = [paired_test(left.per_episode, right.per_episode) for left, right in pairs]
    adjusted = holm([test.p_value for test in tests])
    return [
        Comparison(left, right, test.difference.mean, test.difference.half_width, test.p_value, p)
        for (left, right), test, p in zip(pairs, tests, adjusted, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979), which bounds the chance of one false claim among all."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def _comparable(a: Result, b: Result) -> bool:
    same_tasks = a.episodes == b.episodes and replace(a.protocol, base=None) == replace(b.protocol, base=None)
    same_learner = a.learner_label == b.learner_label
    same_backbone = a.backbone["fingerprint"] == b.backbone["fingerprint"]
    return same_tasks and a.dataset["fingerprint"] == b.dataset["fingerprint"] and same_learner != same_backbone
