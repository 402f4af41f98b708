import numpy as np
import pytest
from scipy.special import softmax

from fewshot.errors import InvalidInput
from fewshot.learners import TIMADM


def reference(support, labels, query, weights=(0.1, 1.0, 0.1), temperature=15.0, rate=1.0, steps=150):
    """Proposition 1 of the paper for one task, class by class."""
    support, query = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (support, query))
    one_hot = np.eye(labels.max() + 1)[labels]
    prototypes = np.array([support[labels == way].mean(0) for way in range(one_hot.shape[1])])

    def logits(items):
        return np.array([[-temperature / 2 * np.sum((x - w) ** 2) for w in prototypes] for x in items])

    of_support, marginal, conditional = weights[0] / (1 + weights[2]), weights[1], weights[2]
    of_query = len(support) / len(query)
    for _ in range(steps):
        p_support, p_query = softmax(logits(support), 1), softmax(logits(query), 1)
        q = p_query ** (1 + conditional)
        q = q / q.sum(0) ** (marginal / (marginal + 1))
        q = q / q.sum(1, keepdims=True)
        moved = np.zeros_like(prototypes)
        for k, w in enumerate(prototypes):
            for x, y, p in zip(support, one_hot[:, k], p_support[:, k], strict=True):
                moved[k] += of_support * (y * x + p * (w - x))
            for x, a, p in zip(query, q[:, k], p_query[:, k], strict=True):
                moved[k] += of_query * (a * x + p * (w - x))
            moved[k] /= of_support * one_hot[:, k].sum() + of_query * q[:, k].sum()
        prototypes = prototypes + rate * (moved - prototypes)
    return logits(query)


def probabilities(learner, tasks, query=None):
    query = tasks.query if query is None else query
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(query.double()).softmax(2).numpy()


def expected_of(tasks, task=0, query=None, **settings):
    support, labels, whole = tasks.item(task)
    query = whole if query is None else query[task]
    return softmax(reference(support.double().numpy(), labels.numpy(), query.double().numpy(), **settings), 1)


def test_it_follows_the_paper(grid_tasks):
    found = probabilities(TIMADM(steps=15), grid_tasks)
    for task in range(len(found)):
        np.testing.assert_allclose(found[task], expected_of(grid_tasks, task, steps=15), atol=1e-6)


def test_its_defaults_are_the_papers(make_tasks):
    tasks = make_tasks(tasks=1)
    np.testing.assert_allclose(probabilities(TIMADM(), tasks)[0], expected_of(tasks), atol=1e-6)


def test_unbalanced_queries(make_tasks):
    tasks = make_tasks(tasks=1, queries=8)
    query = tasks.query[:, tasks.query_labels[0] != 2][:, :17]
    np.testing.assert_allclose(probabilities(TIMADM(), tasks, query)[0], expected_of(tasks, 0, query), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"cross_entropy": 1.0}, {"weights": (1.0, 1.0, 0.1)}),
        ({"marginal": 0.0}, {"weights": (0.1, 0.0, 0.1)}),
        ({"conditional": 1.0}, {"weights": (0.1, 1.0, 1.0)}),
        ({"temperature": 5.0}, {"temperature": 5.0}),
        ({"rate": 0.3}, {"rate": 0.3}),
    ],
    ids=str,
)
def test_each_setting_is_the_references(make_tasks, settings, changed):
    tasks = make_tasks(tasks=1)
    found = probabilities(TIMADM(steps=10, **settings), tasks)[0]
    np.testing.assert_allclose(found, expected_of(tasks, steps=10, **changed), atol=1e-6)
    assert not np.allclose(found, probabilities(TIMADM(steps=10), tasks)[0], atol=1e-3)


@pytest.mark.parametrize("name", ["temperature", "rate", "steps", "cross_entropy"])
def test_wrong_settings_are_told(name):
    with pytest.raises(InvalidInput, match=f"tim-adm: {name} must be above zero, found 0"):
        TIMADM(**{name: 0})


def test_weights_below_zero_are_told():
    with pytest.raises(InvalidInput, match="tim-adm: marginal must be zero or more, found -1"):
        TIMADM(marginal=-1)


def test_the_span_changes_nothing(make_tasks):
    tasks = make_tasks(dim=64)
    np.testing.assert_allclose(probabilities(TIMADM(), tasks), probabilities(TIMADM(features="l2"), tasks), atol=1e-6)
