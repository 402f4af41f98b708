"""Which learner for which situation: chosen by measured accuracy, and told with the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fewshot.errors import InvalidInput
from fewshot.files import read_json

Queries = Literal["alone", "together", "balanced"]
Base = Literal["none", "mean", "classes"]

TABLE = Path(__file__).with_name("choices.json")  # made by benchmarks/choices.py from the committed results
WORDS = {
    "alone": "each query is classified by itself",
    "together": "the queries of a task come together, classes unequally often",
    "balanced": "the queries of a task come together, every class equally often",
    "none": "nothing is known of base classes",
    "mean": "the mean of base classes is known",
    "classes": "the features of base classes are known",
}


@dataclass(frozen=True)
class Choice:
    """A learner for a situation, as `name` or `name:setting=value`, and the reason in words and numbers."""

    learner: str
    reason: str


def choose_learner(shots: int, queries: Queries = "alone", base: Base = "none") -> Choice:
    """The learner that measured best in the situation: the fastest of those within half a point of the best.

    shots, support items a class. queries: "alone" where a prediction must not depend on other queries; "together"
    where all queries of a task are there at once; "balanced" where each class is known to have equally many. base: what
    is known of the backbone's training classes. What was measured, on which data: docs/choosing.md.

    Raises `InvalidInput` for shots below one and for words that are not among these.
    """
    if shots < 1:
        raise InvalidInput(f"shots must be 1 or more, found {shots}")
    for word, known in ((queries, ("alone", "together", "balanced")), (base, ("none", "mean", "classes"))):
        if word not in known:
            raise InvalidInput(f"a situation is told by {', '.join(map(repr, known))}; found {word!r}")
    found = [row for row in _table() if (row["queries"], row["base"]) == (queries, base)]
    row = min(found, key=lambda row: (abs(row["shots"] - shots), -row["shots"]))
    return Choice(row["learner"], _reason(row))


@cache
def _table() -> list[dict[str, Any]]:
    return read_json(TABLE)["situations"]


def _reason(row: dict[str, Any]) -> str:
    text = (
        f"{row['learner']}: {row['accuracy']:.1f} % at {row['shots']} shot{'s'[: row['shots'] - 1]} on "
        f"{', '.join(row['datasets'])}, where {WORDS[row['queries']]} and {WORDS[row['base']]}"
    )
    if row["best"]["learner"] != row["learner"]:
        text += f"; within half a point of {row['best']['learner']} ({row['best']['accuracy']:.1f} %) and faster"
    return f"{text}; prototypical {row['prototypical']:.1f} %"
