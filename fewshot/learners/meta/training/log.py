"""The log of a training: a CSV with one row a validation, and the learning curves as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.files import whole_file

COLUMNS = ("step", "loss", "accuracy", "validation_accuracy", "validation_ci95", "rate", "tasks_per_second", "seconds")


def write_log(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write all rows so far; what is not known is left empty."""
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def draw_curves(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Draw loss, and accuracy in training and validation with its interval, over steps (PNG)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    dots = "." if len(rows) < 20 else ""
    left.plot(steps, [row["loss"] for row in rows], marker=dots)
    left.set(xlabel="step", ylabel="training loss", title=title)
    right.plot(steps, [100 * row["accuracy"] for row in rows], marker=dots, label="training tasks")
    looks = [row for row in rows if row["validation_accuracy"] is not None]
    if looks:
        found, half = ([100 * row[f"validation_{name}"] for row in looks] for name in ("accuracy", "ci95"))
        right.errorbar(
            [row["step"] for row in looks], found, half, marker=dots, elinewidth=0.7, label="validation tasks"
        )
    right.legend()
    right.set(xlabel="step", ylabel="accuracy, %")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with whole_file(path) as beside:
        figure.savefig(beside, format="png", dpi=110)
