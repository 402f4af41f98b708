"""Choose a learner for each situation from the results in learner_store/, and write it where the package reads it.

Run with `uv run python benchmarks/choices.py` after scripts/run_learners.sh: it renews fewshot/learners/choices.json
and the table in docs/choosing.md. A situation is what is known of the queries and of base classes, and the shots. Of
the learners that need no more than that and were measured on every data set of the situation, the fastest is chosen
among those whose mean accuracy is within half a point of the best.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from fewshot.benchmark import Result, ResultStore
from fewshot.benchmark.report import replace_block
from fewshot.benchmark.report.tables import seconds_per_thousand
from fewshot.benchmark.result import changed_settings
from fewshot.learners.choice import TABLE, WORDS

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "choosing.md"
CLOSE = 0.5  # points of accuracy
IMBALANCE = 2.0  # concentration of the Dirichlet distribution of queries that come together


def situations(results: Iterable[Result]) -> list[dict[str, Any]]:
    """The best learner for each situation that `results` speak of."""
    results = list(results)
    rows = (_choose(results, *known) for known in product(("alone", "together", "balanced"), _NEEDS, (1, 5)))
    return [row for row in rows if row]


_NEEDS = {
    "none": ("needs_base_mean", "needs_base_classes"),
    "mean": ("needs_base_classes",),
    "classes": (),
}


def _choose(results: list[Result], queries: str, base: str, shots: int) -> dict[str, Any] | None:
    asked = [result for result in results if _answers(result, queries, base, shots)]
    datasets = sorted({result.protocol.dataset for result in asked})
    by_learner: dict[str, list[Result]] = {}
    for result in asked:
        by_learner.setdefault(_spec(result), []).append(result)
    found = {
        name: {
            "learner": name,
            "accuracy": round(100 * mean(result.accuracy for result in own), 2),
            "seconds": round(mean(seconds_per_thousand(result) for result in own), 2),
        }
        for name, own in by_learner.items()
        if len(own) == len(datasets)
    }
    if not found:
        return None
    best = max(found.values(), key=lambda entry: entry["accuracy"])
    close = [entry for entry in found.values() if entry["accuracy"] >= best["accuracy"] - CLOSE]
    chosen = min(close, key=lambda entry: entry["seconds"])
    return {
        "queries": queries,
        "base": base,
        "shots": shots,
        **chosen,
        "best": best,
        "prototypical": found["prototypical"]["accuracy"],
        "datasets": datasets,
    }


def _answers(result: Result, queries: str, base: str, shots: int) -> bool:
    """Whether a result was measured in this situation, by a learner that needs no more than it gives."""
    protocol, learner = result.protocol, result.learner
    if (protocol.ways, protocol.unlabelled, protocol.shots) != (5, 0, shots):
        return False
    if protocol.query_imbalance != (IMBALANCE if queries == "together" else None):
        return False
    if learner["trained"] or (queries == "alone" and learner["transductive"]):
        return False
    if learner["assumes_balanced_queries"] and queries != "balanced":
        return False
    if base != "none" and protocol.base is None:
        return False
    return not any(learner.get(need) for need in _NEEDS[base])


def _spec(result: Result) -> str:
    """The learner as `name:setting=value,...`, the settings that are not its defaults."""
    settings = ",".join(changed_settings(result.learner))
    return f"{result.learner['name']}:{settings}" if settings else result.learner["name"]


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The choices as a table."""
    heads = ["queries", "base classes", "shots", "learner", "accuracy", "seconds", "best of all", "prototypical"]
    lines = [f"| {' | '.join(heads)} | measured on |", "|---|---|---:|---|---:|---:|---|---:|---|"]
    for row in rows:
        best = row["best"]
        lines.append(
            f"| {WORDS[row['queries']]} | {WORDS[row['base']]} | {row['shots']} | `{row['learner']}` | "
            f"{row['accuracy']:.1f} | {row['seconds']:.2g} | `{best['learner']}` {best['accuracy']:.1f} | "
            f"{row['prototypical']:.1f} | {', '.join(row['datasets'])} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    rows = situations(ResultStore(HERE / "learner_store"))
    TABLE.write_text(json.dumps({"situations": rows}, indent=1) + "\n")
    replace_block(PAGE, as_markdown(rows))
    print(f"renewed {TABLE.name} and {PAGE.name}")
