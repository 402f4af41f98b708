"""The study's part of the report says what its numbers say, whichever way they go."""

from fewshot.transfer import INDUCTIVE, TransferResult
from fewshot.transfer.studies import load_study


def result(method: str, draws: list[float], case: str = "cifar-fs, 1-shot", **more) -> TransferResult:
    data = {"steps": 720, "batch": 16}
    return TransferResult("self_taught", case, method, INDUCTIVE, draws, data=data, more=more, provenance={})


def test_nothing_yet() -> None:
    assert load_study("self_taught").section([]) == "Nothing is measured yet."
    assert load_study("self_taught").claim.endswith("?")


def test_the_answer_follows_the_numbers() -> None:
    draws = [0.30, 0.34, 0.28, 0.32]
    results = [
        result("plain", [value + 0.10 for value in draws], **{"by seed": [0.41, 0.42]}),
        result("masked", [value + 0.12 for value in draws]),
        result("random weights", draws),
        result("raw pixels", [0.40, 0.46, 0.38, 0.44]),
        result("ImageNet", [value + 0.3 + 0.01 * place for place, value in enumerate(draws)]),
    ]
    told = load_study("self_taught").section(results)
    assert "**cifar-fs, 1-shot**, autoencoders taught for 720 steps of 16 images" in told
    assert "better than random weights (+11.0 ± 0.0 points)" in told
    assert "the same within the error as raw pixels" in told
    assert "worse than ImageNet" in told
    assert "| plain | inductive | 41.0 ± " in told
    assert "41.0, 42.0" in told
    assert told.index("random weights |") < told.index("plain |") < told.index("ImageNet |")


def test_a_case_without_autoencoders_has_no_answer() -> None:
    told = load_study("self_taught").section([result("raw pixels", [0.2, 0.4])])
    assert "raw pixels" in told
    assert "Autoencoders" not in told
