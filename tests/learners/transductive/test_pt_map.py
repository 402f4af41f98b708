import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import PTMAP


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def preprocessed(support, query):
    """Section 3.1 of the paper, as its code has it: centred apart, without the reduction of dimensions."""
    support, query = (unit(np.sqrt(x + 1e-6)) for x in (support, query))
    return unit(support - support.mean(0)), unit(query - query.mean(0))


def optimal_transport(scores, mass):
    plan = np.exp(scores - scores.max(1, keepdims=True))
    for _ in range(2000):
        plan /= plan.sum(1, keepdims=True)
        plan *= mass / plan.sum(0)
    return plan


def reference(support, labels, query, ways, lam=10.0, rate=0.2, steps=20):
    """Algorithm 1 of the paper, for one task."""
    support, query = preprocessed(support, query)
    centres = np.stack([support[labels == way].mean(0) for way in range(ways)])
    for step in range(steps + 1):
        distance = ((query[:, None] - centres[None]) ** 2).sum(2)
        plan = optimal_transport(-lam * distance, len(query) / ways)
        if step < steps:
            for way in range(ways):
                members = support[labels == way]
                total = members.sum(0) + plan[:, way] @ query
                centres[way] += rate * (total / (len(members) + plan[:, way].sum()) - centres[way])
    return plan / plan.sum(1, keepdims=True)


def assert_follows(tasks, **settings):
    found = PTMAP(**settings).fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double()).softmax(-1)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), tasks.ways, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_it_follows_the_paper(grid_tasks):
    assert_follows(grid_tasks)


@pytest.mark.parametrize("settings", [{"lam": 2.0}, {"rate": 0.7}, {"steps": 1}])
def test_every_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2), **settings)


def test_queries_that_do_not_divide_among_the_classes(make_tasks):
    tasks = make_tasks(tasks=2)
    unbalanced = tasks.query[:, :13]
    found = PTMAP().fit(tasks.support.double(), tasks.labels, 5)(unbalanced.double()).softmax(-1)
    for task in range(2):
        support, labels, _ = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, unbalanced[task].double().numpy(), 5)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_every_class_gets_its_share(make_tasks):
    tasks = make_tasks(tasks=3)
    shares = PTMAP().fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1).sum(1)
    torch.testing.assert_close(shares, torch.full_like(shares, 4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("setting", ["lam", "rate", "steps", "tolerance"])
def test_wrong_settings_are_refused(setting):
    with pytest.raises(InvalidInput, match=f"pt-map: {setting} must be above zero"):
        PTMAP(**{setting: 0})
