"""What every kind of experiment has: a paper, its numbers beside a goal, and as many results as evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot.benchmark.experiments.measured import Measured, check_percent
from fewshot.errors import InvalidInput


@dataclass(frozen=True)
class Paper:
    """Who published the numbers, and where they stand: `arxiv` is a number such as 1703.05175, or empty."""

    citation: str
    arxiv: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """The accuracy that a paper has for an evaluation, and what is to be reached here.

    published: per cent, published_ci95: half the width of its interval, both None where the paper has none; goal: per
    cent, None for no goal. Raises `InvalidInput` for what is no per cent.
    """

    published: float | None = None
    published_ci95: float | None = None
    goal: float | None = None

    def __post_init__(self) -> None:
        for name in ("published", "published_ci95", "goal"):
            check_percent(name, getattr(self, name))


def check_results(evaluations: Sequence[Published], results: Sequence[Measured] | None) -> None:
    """Raise `InvalidInput` for no evaluation, or for other than one result for each; None for not run yet."""
    if not evaluations:
        raise InvalidInput("an experiment needs an evaluation; found none")
    if results is not None and len(results) != len(evaluations):
        raise InvalidInput(
            f"ours must have a result for each of the {len(evaluations)} evaluations, found {len(results)}"
        )
