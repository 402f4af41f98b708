import pytest

from fewshot.classify import RULES, choose_method
from fewshot.classify.rules import CHOSEN
from fewshot.errors import InvalidInput
from fewshot.learners import choose_learner, parse_learner


@pytest.mark.parametrize("words", [True, False])
def test_one_rule_for_every_number_of_images(words):
    for shots in range(0 if words else 1, 100):
        assert sum(rule.fewest <= shots <= rule.most for rule in RULES if rule.words == words) == 1
        chosen = choose_method(shots, words)
        learner = parse_learner(chosen.learner)
        assert learner.name in chosen.reason
        assert not learner.transductive
        assert not learner.needs_words or words
        assert learner.needs_support <= (shots > 0)


def test_every_rule_has_its_reason():
    assert all(rule.reason for rule in RULES)
    assert all(parse_learner(rule.learner) for rule in RULES if rule.learner != CHOSEN)


def test_images_alone_go_by_what_was_measured():
    assert choose_method(5, False, "mean") == choose_learner(5, "alone", "mean")


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InvalidInput, match="needs images of the classes, or words"):
        choose_method(0, words=False)
