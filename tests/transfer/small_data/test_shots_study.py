"""The report on learning curves says what the numbers say, whichever way they point."""

from __future__ import annotations

from typing import Any

from fewshot.transfer import INDUCTIVE, TransferResult
from fewshot.transfer.studies import load_study

section = load_study("shots").section


def _curve(truth: float) -> TransferResult:
    point = {"shots": 16, "truth": truth, "ci95": 0.01, "value": 0.8, "low": 0.75, "high": 0.85}
    settings: dict[str, Any] = {"fitted_up_to": 8}
    return TransferResult(
        "shots", "curve x", f"at {truth}", INDUCTIVE, [truth, truth], settings=settings, more={"foretold": [point]}
    )


def test_coverage_is_counted() -> None:
    told = section([_curve(0.8), _curve(0.9), _curve(0.76)])
    assert "in 2 of 3 curves" in told
    assert "4.7 points off in the mean, 10.0 at worst, and too high in 1" in told
    assert "at four times" not in told


def test_ensembles_are_compared_with_the_last_and_the_best_depth() -> None:
    draws = {"last": 0.5, "stage 4": 0.6, "soft vote": 0.7, "stacked": 0.55, "side by side": 0.4}
    results = [
        TransferResult("shots", "ensemble x", way, INDUCTIVE, [mean, mean + 0.01, mean - 0.01])
        for way, mean in draws.items()
    ]
    told = section(results)
    assert "60.0 ± 2.5 (stage 4)" in told
    assert "soft vote beats the last features on 1 and loses on 0, and the best depth on 1 and 0" in told
    assert "stacked beats the last features on 1 and loses on 0, and the best depth on 0 and 1" in told
    assert "side by side beats the last features on 0 and loses on 1" in told
    assert section(results[:2]).startswith("Ensembles")


def test_nothing_measured() -> None:
    assert section([]) == "Nothing was measured yet."
