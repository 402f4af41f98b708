"""The study's part of the report says what its numbers say, whichever way they go."""

from fewshot.transfer import TARGET_ONLY, TransferResult
from fewshot.transfer.studies import load_study


def result(method: str, draws: list[float], case: str, **more) -> TransferResult:
    return TransferResult("multitask", case, method, TARGET_ONLY, draws, more=more, provenance={})


def test_nothing_yet() -> None:
    study = load_study("multitask")
    assert study.section([]) == "Nothing is measured yet."
    assert study.section([result("equal", [0.5, 0.6], "omniglot: class")]) == "Nothing is measured yet."
    assert study.claim.endswith("?")


def test_the_answer_follows_the_numbers() -> None:
    alone = [0.50, 0.52, 0.49]
    higher, lower = [0.60, 0.61, 0.59], [0.40, 0.44, 0.41]
    results = [
        result("alone", alone, "omniglot: class"),
        result("alone", alone, "omniglot: alphabet"),
        result("alone, steps shared", lower, "omniglot: class"),
        result("equal", higher, "omniglot: class", affinity={"alphabet": [2e-4, 4e-4, 3e-4]}),
        result("equal", lower, "omniglot: alphabet", affinity={"class": [1e-4, 1e-4, 1e-4]}),
    ]
    told = load_study("multitask").section(results)
    assert "as long in training each, learning together is better in 1 of 2 comparisons, worse in 1, and" in told
    assert "networks that share the steps, learning together is better in 1 of 1 comparisons, worse in 0, and" in told
    assert "points on average: omniglot: class +9.7, omniglot: alphabet -8.7." in told
    assert "Against equal weights" not in told
    assert "is that of the gain of equal weights in 1 of 2 label sets" in told
    assert "omniglot: class +3.0e-04, gain +9.7" in told
    assert "| equal | 60.0 ± 2.5 | +9.7 ± " in told
