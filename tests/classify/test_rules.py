import json
from pathlib import Path

import pytest

from fewshot.classify import RULES, choose_method
from fewshot.classify.rules import find_rule
from fewshot.errors import InvalidInput
from fewshot.learners import choose_learner, parse_learner

MEASURED = Path(__file__).parents[2] / "benchmarks" / "findings" / "classify_rules.json"


@pytest.mark.parametrize("words", [True, False])
def test_one_rule_for_every_number_of_images(words):
    for shots in range(0 if words else 1, 100):
        assert sum(rule.fewest <= shots <= rule.most for rule in RULES if rule.words in (None, words)) == 1
        chosen = choose_method(shots, words)
        learner = parse_learner(chosen.learner)
        assert learner.name in chosen.reason
        assert not learner.transductive
        assert not learner.needs_words or words
        assert learner.needs_support <= (shots > 0)
        assert not learner.needs_words or find_rule(shots, words).backbone.startswith("bridge:")


def test_every_rule_has_its_reason_and_what_it_rests_on():
    assert all(rule.reason for rule in RULES)
    assert [rule.fewest for rule in RULES if not rule.measured] == [0], "names alone leave no choice"


def test_the_rules_are_within_a_point_of_the_best_where_they_were_chosen():
    content = json.loads(MEASURED.read_text())
    tried: dict[tuple[int, bool], dict[str, list[float]]] = {}
    for row in content["found"]:
        if row["dataset"] in content["chosen_on"] and row["shots"] and row["join"] == content["default_join"]:
            for words in {True, row["words"]}:  # who has words may do without
                learners = tried.setdefault((row["shots"], words), {})
                learners.setdefault(row["learner"], []).append(row["accuracy"])
    compared = set()
    for (shots, words), learners in tried.items():
        sets, chosen = len(content["chosen_on"]), choose_method(shots, words).learner
        means = {name: sum(found) / sets for name, found in learners.items() if len(found) == sets}
        if chosen in means:
            compared.add((shots, words))
            assert means[chosen] >= max(means.values()) - 0.01, (shots, words, means)
    assert compared >= {(shots, words) for shots in (1, 2, 4, 8) for words in (True, False)}


def test_what_is_known_of_base_classes_goes_first_where_images_are_few():
    assert choose_method(5, False, "mean") == choose_learner(5, "alone", "mean")
    assert choose_method(17, False, "mean") == choose_method(17, False)
    assert choose_method(5, True, "mean") == choose_method(5, True)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InvalidInput, match="needs images of the classes, or words"):
        choose_method(0, words=False)
