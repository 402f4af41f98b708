import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import ProtoLP


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def optimal_transport(plan, mass):
    for _ in range(20_000):
        plan = plan / plan.sum(1, keepdims=True)
        plan = plan * (mass / plan.sum(0))
        if np.abs(plan.sum(1) - 1).max() < 1e-9:
            break
    return plan


def reference(support, labels, query, ways, lam=10.0, rate=0.2, steps=100, gamma=1.0, share=0.6, rank=40):
    """The authors' loop for one task: equal shares, labels spread over prototypes, prototypes moved."""
    items = unit(np.sqrt(np.concatenate([support, query]) + 1e-6))
    items = items @ np.linalg.svd(items, full_matrices=False)[2][:rank].T
    items = unit(items - items.mean(0))
    known, mass = np.eye(ways)[labels], len(query) / ways
    centres = unit(np.stack([items[: len(labels)][labels == way].mean(0) for way in range(ways)]))
    for step in range(steps + 1):
        distance = ((items[len(labels) :, None] - centres[None]) ** 2).sum(2)
        assigned = optimal_transport(np.exp(-lam * distance), mass)
        if step == steps:
            break
        z = np.concatenate([known, assigned])
        laplacian = np.eye(ways) - z.T @ (z / z.sum(0))
        anchors = np.linalg.inv(known.T @ known + gamma * laplacian) @ known.T @ known
        spread = np.concatenate([known, optimal_transport(assigned @ anchors, mass)])
        mixed = share * spread + (1 - share) * z
        means = mixed.T @ items / mixed.sum(0)[:, None]
        centres = centres + rate * (means - centres)
    return assigned / assigned.sum(1, keepdims=True)


def assert_follows(tasks, **settings):
    learner = ProtoLP(tolerance=1e-9, **settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double()).softmax(-1)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), tasks.ways, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3, 8), (5, 1, 4, 64), (5, 5, 3, 7), (5, 1, 15, 64)])
def test_it_follows_the_paper(make_tasks, shape):
    ways, shots, queries, dim = shape
    assert_follows(make_tasks(tasks=2, ways=ways, shots=shots, queries=queries, dim=dim), steps=20)


def test_it_follows_the_paper_on_real_features(real_tasks):
    assert_follows(real_tasks, steps=20)


@pytest.mark.parametrize("settings", [{"gamma": 5.0}, {"share": 1.0}, {"lam": 2.0}, {"rate": 0.7}])
def test_every_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2), steps=5, **settings)


def test_the_papers_tolerance_is_close_enough(make_tasks):
    tasks = make_tasks(tasks=8, queries=15)
    loose, exact = (
        ProtoLP(tolerance=tolerance).fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1)
        for tolerance in (1e-3, 1e-8)
    )
    torch.testing.assert_close(loose, exact, atol=0.03, rtol=0)


def test_wrong_settings_are_refused():
    with pytest.raises(InvalidInput, match="protolp: gamma must be above zero"):
        ProtoLP(gamma=0)
    with pytest.raises(InvalidInput, match="protolp: share must be from 0 to 1, found 1.5"):
        ProtoLP(share=1.5)
