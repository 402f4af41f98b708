"""The table of new classes in docs/words.md, from the results in new_classes_store/."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from fewshot.benchmark.experiments.adaptation import mean_of_halves
from fewshot.benchmark.result import Result
from fewshot.benchmark.store import ResultStore
from fewshot.metrics import accuracy_interval

STORE = Path(__file__).parent / "new_classes_store"
ZERO_SHOT = "zero-shot"


def new_classes_section() -> str:
    """A row for each data set and learner: accuracy on both halves, its harmonic mean, and what it adds to the words.

    Rows that lack a half, as in a store that is being filled, are left out.
    """
    halves: dict[tuple[str, str], dict[str, Result]] = defaultdict(dict)
    for result in ResultStore(STORE):
        halves[result.protocol.dataset, result.learner_label][str(result.protocol.half)] = result
    found = {row: both for row, both in halves.items() if both.keys() == {"base", "new"}}
    lines = ["Accuracy in per cent on all classes of a half at once, 16 shots, ten draws, ± 95 % t-interval.", ""]
    heads = ["data set", "learner", "base", "new", "harmonic mean", "base − zero-shot", "new − zero-shot"]
    lines += [f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    last = ""
    for dataset, learner in sorted(found, key=lambda row: (row[0], row[1] != ZERO_SHOT, row[1])):
        base, new = (found[dataset, learner][half].per_episode for half in ("base", "new"))
        words = [found[dataset, ZERO_SHOT][half].per_episode for half in ("base", "new")]
        mean = torch.tensor(mean_of_halves([base.tolist(), new.tolist()]))
        cells = [_percent(base), _percent(new), _percent(mean)]
        cells += ["", ""] if learner == ZERO_SHOT else [_percent(base - words[0], "+"), _percent(new - words[1], "+")]
        lines.append(f"| {dataset if dataset != last else ''} | {learner} | {' | '.join(cells)} |")
        last = dataset
    return "\n".join(lines)


def _percent(draws: Tensor, sign: str = "") -> str:
    interval = accuracy_interval(draws)
    return f"{100 * interval.mean:{sign}.2f} ± {100 * interval.half_width:.2f}"
