"""The learner that is advised is the one that measured best, and the advice is what the committed results say."""

import importlib.util
from pathlib import Path

import pytest
from results import make_result

from fewshot.benchmark import ResultStore
from fewshot.errors import InvalidInput
from fewshot.files import read_json
from fewshot.learners import choose_learner, parse_learner
from fewshot.learners.choice import TABLE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def choices():
    spec = importlib.util.spec_from_file_location("choices", BENCHMARKS / "choices.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(learner: str, accuracy: float, seconds: float, dataset: str = "zoo", **more):
    facts = dict.fromkeys(("transductive", "assumes_balanced_queries", "needs_base_mean", "trained"), False)
    facts |= {key: more.pop(key) for key in list(more) if key in facts}
    return make_result(learner, accuracy, seconds=seconds, facts=facts, dataset=dataset, **more)


def test_the_fastest_of_the_best_is_chosen(choices) -> None:
    results = [
        measured("prototypical", 0.60, 0.1),
        measured("ridge", 0.698, 0.2),
        measured("logistic", 0.70, 0.9),
        measured("together", 0.9, 0.1, transductive=True),
        measured("based", 0.9, 0.1, needs_base_mean=True),
    ]
    (row,) = [row for row in choices.situations(results) if row["queries"] == "alone"]
    assert (row["learner"], row["best"]["learner"], row["base"], row["shots"]) == ("ridge", "logistic", "none", 1)
    assert row["prototypical"] == pytest.approx(100 * results[0].accuracy, abs=0.01)


def test_situations_ask_for_no_more_than_is_known(choices) -> None:
    common = {"base": "train"}
    results = [
        measured("prototypical", 0.6, 0.1, **common),
        measured("prototypical", 0.6, 0.1, query_imbalance=2.0, **common),
        measured("even", 0.9, 0.1, transductive=True, assumes_balanced_queries=True, **common),
        measured("even", 0.7, 0.1, transductive=True, assumes_balanced_queries=True, query_imbalance=2.0, **common),
        measured("robust", 0.8, 0.1, transductive=True, query_imbalance=2.0, **common),
        measured("based", 0.7, 0.1, needs_base_mean=True, **common),
        measured("schooled", 0.99, 0.1, trained=True, **common),
    ]
    found = {(row["queries"], row["base"]): row["learner"] for row in choices.situations(results)}
    assert found["balanced", "none"] == "even"
    assert found["together", "none"] == "robust"
    assert found["alone", "none"] == "prototypical"
    assert found["alone", "mean"] == "based"


def test_a_learner_counts_when_it_was_measured_everywhere(choices) -> None:
    results = [measured("prototypical", 0.6, 0.1, dataset=name) for name in ("zoo", "farm")]
    results.append(measured("ridge", 0.9, 0.1))
    (row,) = [row for row in choices.situations(results) if row["queries"] == "alone"]
    assert row["learner"] == "prototypical"
    assert row["datasets"] == ["farm", "zoo"]


def test_the_advice_is_what_the_results_say(choices) -> None:
    rows = choices.situations(ResultStore(BENCHMARKS / "learner_store"))
    assert rows == read_json(TABLE)["situations"]
    assert len(rows) == 18


@pytest.mark.parametrize("queries", ["alone", "together", "balanced"])
@pytest.mark.parametrize("base", ["none", "mean", "classes"])
@pytest.mark.parametrize("shots", [1, 3, 50])
def test_every_situation_has_a_learner_that_suits_it(shots, queries, base) -> None:
    choice = choose_learner(shots, queries, base)
    learner = parse_learner(choice.learner)
    assert not learner.trained
    assert not (learner.transductive and queries == "alone")
    assert not (learner.assumes_balanced_queries and queries != "balanced")
    assert not (learner.needs_base_mean and base == "none")
    assert not (learner.needs_base_classes and base != "classes")
    assert choice.learner in choice.reason
    assert f"at {1 if shots < 3 else 5} shot" in choice.reason


@pytest.mark.parametrize("wrong", [{"shots": 0}, {"queries": "later"}, {"base": "some"}])
def test_a_situation_that_is_none_is_refused(wrong) -> None:
    with pytest.raises(InvalidInput, match="found"):
        choose_learner(**{"shots": 1, **wrong})
