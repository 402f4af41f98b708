import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners import Ensemble, create_learner, parse_learner
from fewshot.learners.words import Words

PARTS = [("ridge", {"penalty": 3.0, "bias": False}), ("logistic", {}), ("prototypical", {})]
TEXT = "ridge(penalty=3.0, bias=false) + logistic + prototypical"


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


@pytest.mark.parametrize("mean", ["probabilities", "logits"])
def test_it_is_the_mean_of_its_learners(grid_tasks, mean):
    tasks = grid_tasks
    found = Ensemble(TEXT, mean).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query).softmax(-1)
    logits = [
        create_learner(name, **settings).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query).double().numpy()
        for name, settings in PARTS
    ]
    expected = softmax(sum(logits) / 3) if mean == "logits" else sum(map(softmax, logits)) / 3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_learner_is_that_learner(make_tasks):
    tasks = make_tasks()
    found = Ensemble("pt-map").fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1)
    expected = create_learner("pt-map").fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_it_assumes_what_its_learners_assume():
    facts = Ensemble("ridge+pt-map+simpleshot").facts()
    assert facts["transductive"]
    assert facts["assumes_balanced_queries"]
    assert facts["uses_unlabelled"]
    assert facts["needs_base_mean"]
    plain = Ensemble("ridge+simpleshot(transform=L2N)").facts()
    assert {name for name, value in plain.items() if value is True} == {"needs_support"}
    worded = Ensemble("zero-shot+tda").facts()
    assert worded["needs_words"]
    assert worded["streaming"]
    assert not worded["needs_support"]
    assert Ensemble("zero-shot+ridge").needs_support
    assert not Ensemble("tda+pt-map").streaming, "pt-map sees all queries at once"


def test_words_join_images(grid_tasks):
    tasks = grid_tasks
    vectors = torch.randn(tasks.ways, tasks.support.shape[2], generator=torch.Generator().manual_seed(0))
    vectors = torch.nn.functional.normalize(vectors, dim=-1).to(tasks.support)
    words = Words(vectors, [f"class {number}" for number in range(tasks.ways)], scale=10.0)
    found = Ensemble("zero-shot+ridge").fit(tasks.support, tasks.labels, tasks.ways, words=words)(tasks.query)
    zero_shot = create_learner("zero-shot").fit(tasks.support, tasks.labels, tasks.ways, words=words)(tasks.query)
    ridge = create_learner("ridge").fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    np.testing.assert_allclose(found.softmax(-1), (zero_shot.softmax(-1) + ridge.softmax(-1)) / 2, atol=1e-5)


def test_words_of_two_places_in_the_tower_are_refused():
    with pytest.raises(InvalidInput, match="prolip takes features from before .* zero-shot those after it"):
        Ensemble("zero-shot+prolip")


def test_ensembles_nest():
    inner = Ensemble("ridge+logistic(C=2)", "logits")
    outer = parse_learner("ensemble:learners=prototypical+ensemble(learners=ridge+logistic(C=2),mean=logits)")
    assert outer.members == [create_learner("prototypical"), inner]


@pytest.mark.parametrize("text", ["", "ridge+", "+ridge", "ridge++logistic"])
def test_an_empty_name_is_told(text):
    with pytest.raises(InvalidInput, match="ensemble: learners must be names joined by '\\+'"):
        Ensemble(text)


def test_a_wrong_learner_is_told():
    with pytest.raises(UnknownName, match="no learner is called 'rigde'; near: ridge"):
        Ensemble("rigde+logistic")
    with pytest.raises(InvalidInput, match="ridge has no setting 'speed'"):
        Ensemble("ridge(speed=1)")
