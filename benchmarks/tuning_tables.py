"""The table of tuning modes in docs/words.md, from the results in tuning_store/ and, untuned, in words_store/."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from fewshot.benchmark.result import Result
from fewshot.benchmark.store import ResultStore

HERE = Path(__file__).parent
MODES = ("none", "few", "full", "ensemble")


def tuning_section() -> str:
    """A row for each learner and number of shots: its accuracy in every mode, and what the untuned setting is."""
    tuned = list(ResultStore(HERE / "tuning_store"))
    found: dict[tuple[str, int], dict[str, Result]] = defaultdict(dict)
    for result in [*ResultStore(HERE / "words_store"), *tuned]:
        place = result.learner_label, result.protocol.shots
        if any(_same_task(result, other) and place == (other.learner_label, other.protocol.shots) for other in tuned):
            found[place][result.protocol.tuning] = result
    lines = ["Accuracy in per cent on all of CIFAR-FS's test classes at once, ten draws, ± 95 % t-interval.", ""]
    lines += [f"| learner | shots | {' | '.join(MODES)} |", "|---|---:|" + "---:|" * len(MODES)]
    last = ""
    for (learner, shots), results in sorted(found.items()):
        cells = [_accuracy(results[mode]) if mode in results else "" for mode in MODES]
        lines.append(f"| {learner if learner != last else ''} | {shots} | {' | '.join(cells)} |")
        last = learner
    return "\n".join(lines)


def _same_task(a: Result, b: Result) -> bool:
    return (a.protocol.dataset, a.protocol.split, a.backbone["name"]) == (
        b.protocol.dataset,
        b.protocol.split,
        b.backbone["name"],
    )


def _accuracy(result: Result) -> str:
    return f"{100 * result.accuracy:.2f} ± {100 * result.ci95:.2f}"
