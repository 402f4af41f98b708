"""The table of tuning modes in docs/words.md, from the results in tuning_store/ and, untuned, in words_store/."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from fewshot.benchmark.result import Result
from fewshot.benchmark.store import ResultStore

HERE = Path(__file__).parent
MODES = ("none", "few", "full", "ensemble")


def tuning_section() -> str:
    """A row for each learner and number of shots: its accuracy in every mode."""
    found: dict[tuple[str, ...], dict[str, Result]] = defaultdict(dict)
    for result in ResultStore(HERE / "tuning_store"):
        found[_row(result)][result.protocol.tuning] = result
    for result in ResultStore(HERE / "words_store"):
        if _row(result) in found:
            found[_row(result)]["none"] = result
    lines = ["Accuracy in per cent on all of CIFAR-FS's test classes at once, ten draws, ± 95 % t-interval.", ""]
    lines += [f"| learner | shots | {' | '.join(MODES)} |", "|---|---:|" + "---:|" * len(MODES)]
    last = ""
    for row in sorted(found, key=lambda row: (row[0], int(row[1]))):
        cells = [_accuracy(found[row][mode]) if mode in found[row] else "" for mode in MODES]
        lines.append(f"| {row[0] if row[0] != last else ''} | {row[1]} | {' | '.join(cells)} |")
        last = row[0]
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    """Learner, shots, and what else must be the same."""
    protocol = result.protocol
    return result.learner_label, str(protocol.shots), protocol.dataset, protocol.split, result.backbone["name"]


def _accuracy(result: Result) -> str:
    return f"{100 * result.accuracy:.2f} ± {100 * result.ci95:.2f}"
