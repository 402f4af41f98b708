"""The report on scores says which leads and whether beyond doubt."""

from __future__ import annotations

from fewshot.transfer import INDUCTIVE, TransferResult
from fewshot.transfer.studies import load_study

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
