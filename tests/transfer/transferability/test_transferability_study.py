"""The report on scores says which leads and whether beyond doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from fewshot.errors import UnreadableFile
from fewshot.files import write_json
from fewshot.transfer import INDUCTIVE, TransferResult
from fewshot.transfer.studies import load_study
from fewshot.transfer.studies.committed_truth import (
    CASE,
    committed_accuracy,
    measure_committed,
    no_order_is_zero,
)
from fewshot.transfer.transferability import weighted_tau

section = load_study("transferability").section


def _result(score: str, target: str, draws: list[float]) -> TransferResult:
    return TransferResult(
        "transferability", target, score, INDUCTIVE, draws, data={"sources": 12}, more={"spearman": draws}
    )


def test_the_leading_score() -> None:
    results = [
        _result(score, target, [mean, mean + 0.02, mean - 0.01])
        for score, mean in (("gbc", 0.8), ("logme", 0.5), ("nce", -0.2))
        for target in ("a", "b")
    ]
    told = section(results)
    assert "2 of 3 scores order the sources better than chance" in told
    assert "gbc does best, 0.80 ± 0.01, beyond doubt before all others. Worst is nce, -0.20." in told
    assert told.index("| gbc |") < told.index("| logme |") < told.index("| nce |")
    close = section([*results, _result("leep", "a", [0.9, 0.6, 0.7]), _result("leep", "b", [0.7, 0.9, 0.8])])
    assert "not beyond doubt before leep" in close


def test_nothing_and_little_measured() -> None:
    assert section([]) == "Nothing was measured yet."
    assert "one draw tells no more" in section([_result("gbc", "a", [0.5])])


def test_the_committed_results_are_told_apart() -> None:
    results = [_result("gbc", "a", [0.5, 0.6]), _result("gbc", CASE, [1.0, 1.0]), _result("nce", CASE, [1.0, 0.3])]
    told = section(results)
    assert "gbc gives the right order each time; nce has a mean tau of +0.65." in told
    assert CASE not in told.split("**Answer.**")[0]


def test_a_score_without_an_order_counts_as_zero() -> None:
    assert no_order_is_zero([0.5, weighted_tau([1.0, 1.0], [0.1, 0.2])]) == [0.5, 0.0]


def test_committed_accuracy(tmp_path: Path) -> None:
    for name, accuracy in (("a", 0.5), ("b", 0.25)):
        write_json(
            tmp_path / name / "print" / "protocol" / "logistic.json",
            {"backbone": {"name": name}, "evaluation": {"accuracy": accuracy}},
        )
    assert committed_accuracy("protocol", tmp_path) == {"a": 0.5, "b": 0.25}
    assert committed_accuracy("another", tmp_path) == {}
    assert measure_committed("transferability", tmp_path / "nowhere") == []
    write_json(tmp_path / "c" / "print" / "protocol" / "logistic.json", {})
    with pytest.raises(UnreadableFile, match="no result of the benchmark"):
        committed_accuracy("protocol", tmp_path)
