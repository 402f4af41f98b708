from dataclasses import dataclass
from typing import Literal

import pytest

from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners import Learner, create_learner, describe_learner, list_learners, parse_learner, register_learner
from fewshot.learners.checks import check_positive


@dataclass(frozen=True)
class Answer(Learner):
    """Always the first class.

    And a second paragraph.
    """

    size: int = 3
    rate: float = 0.5
    mode: Literal["fast", "slow"] = "fast"
    loud: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_positive(self, "rate")

    def learn(self, support, labels, ways, base):
        return {}

    def score(self, state, query, mask):
        return query.new_zeros(*query.shape[:2], state["present"].shape[1])


@pytest.fixture(scope="module", autouse=True)
def _registered():
    register_learner("test-answer", paper="none")(Answer)
    yield
    from fewshot.learners import registry

    del registry._LEARNERS._entries["test-answer"]


def test_create_gives_the_class_with_settings():
    assert create_learner("test-answer", size=4) == Answer(size=4)


def test_list_matches_a_pattern():
    assert "test-answer" in list_learners()
    assert list_learners("simple*") == ["simpleshot"]


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(UnknownName, match="no learner is called 'prototipical'; near: prototypical"):
        create_learner("prototipical")


def test_a_taken_name_is_refused():
    with pytest.raises(InvalidInput, match="'ridge' is already registered"):
        register_learner("ridge")(Answer)
    assert Answer.name == "test-answer"


def test_an_unknown_setting_lists_the_known():
    with pytest.raises(InvalidInput, match=r"test-answer has no setting 'sise'; .* size=3, rate=0.5, mode='fast'"):
        create_learner("test-answer", sise=3)
    with pytest.raises(InvalidInput, match="matching has no setting 'x'; its settings and defaults: none"):
        create_learner("matching", x=1)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("size", 2.0, "size must be of type int, found 2.0"),
        ("size", True, "size must be of type int, found True"),
        ("rate", "1", "rate must be a finite number, found '1'"),
        ("rate", float("nan"), "rate must be a finite number, found nan"),
        ("rate", 0, "rate must be above zero, found 0"),
        ("mode", "medium", "mode must be 'fast' or 'slow', found 'medium'"),
        ("loud", 1, "loud must be of type bool, found 1"),
    ],
)
def test_a_wrong_value_is_told(setting, value, message):
    with pytest.raises(InvalidInput, match=f"test-answer: {message}"):
        create_learner("test-answer", **{setting: value})


def test_describe_tells_everything():
    assert describe_learner("test-answer") == {
        "summary": "Always the first class.",
        "name": "test-answer",
        "paper": "none",
        "settings": {"size": 3, "rate": 0.5, "mode": "fast", "loud": False},
        "defaults": {"size": 3, "rate": 0.5, "mode": "fast", "loud": False},
        "transductive": False,
        "streaming": False,
        "assumes_balanced_queries": False,
        "needs_base_mean": False,
        "needs_base_classes": False,
        "trained": False,
        "uses_unlabelled": False,
        "needs_words": False,
        "needs_encoder": False,
        "needs_projection": False,
        "needs_support": True,
        "transfers": False,
    }
    assert describe_learner(Answer(size=1))["settings"]["size"] == 1


def test_simpleshot_needs_a_base_mean_only_when_it_centres():
    assert describe_learner("simpleshot")["needs_base_mean"]
    assert not create_learner("simpleshot", transform="L2N").needs_base_mean


@pytest.mark.parametrize(
    ("text", "learner"),
    [
        ("test-answer", Answer()),
        ("test-answer:size=4,rate=.25", Answer(size=4, rate=0.25)),
        ("test-answer:mode=slow,loud=true", Answer(mode="slow", loud=True)),
        ("test-answer(size=4, loud=False)", Answer(size=4)),
        ("test-answer()", Answer()),
    ],
)
def test_a_learner_is_parsed(text, learner):
    assert parse_learner(text) == learner


@pytest.mark.parametrize("text", ["test-answer:4", "test-answer:size=", "test-answer:=4", "test-answer(size=4"])
def test_what_is_no_learner_is_told(text):
    with pytest.raises((InvalidInput, UnknownName)):
        parse_learner(text)
