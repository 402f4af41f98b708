import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner


def reference(support, labels, query, lam, steps):
    """Martin et al. 2022, algorithm 1, with the penalty written as lam times |Q|."""
    items = np.concatenate([support, query])
    low, high = items.min(0), items.max(0)
    scale = np.where(high > low, high - low, 1)
    support, query = (support - low) / scale, (query - low) / scale
    ways, count = labels.max() + 1, len(query)
    prototypes = np.stack([support[labels == way].mean(0) for way in range(ways)])
    dual = np.zeros(ways)
    for _ in range(steps):
        logits = np.zeros((count, ways))
        for way in range(ways):
            logits[:, way] = -((query - prototypes[way]) ** 2).sum(1) / 2 + lam * count * dual[way] / count
        assignment = np.exp(logits - logits.max(1, keepdims=True))
        assignment /= assignment.sum(1, keepdims=True)
        dual = np.log(assignment.mean(0) + 1e-6) + 1
        for way in range(ways):
            members = support[labels == way]
            total = members.sum(0) + (assignment[:, [way]] * query).sum(0)
            prototypes[way] = total / (len(members) + assignment[:, way].sum())
    return assignment


def assert_follows(tasks, query, tolerance=1e-5, **settings):
    learner = create_learner("paddle", **settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(query.double()).softmax(-1)
    for task in range(len(found)):
        expected = reference(
            tasks.support[task].double().numpy(),
            tasks.labels[task].numpy(),
            query[task].double().numpy(),
            learner.lam,
            learner.steps + 1,
        )
        np.testing.assert_allclose(found[task], expected, atol=tolerance)


@pytest.mark.parametrize("lam", [1.0, 0.2])
def test_it_follows_the_paper(grid_tasks, lam):
    assert_follows(grid_tasks, grid_tasks.query, lam=lam)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_step_follows_the_paper(make_tasks, steps):
    assert_follows(make_tasks(seed=1), make_tasks(seed=1).query, steps=steps, tolerance=1e-8)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(queries=12, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(4, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, few)


def test_the_penalty_empties_classes(make_tasks):
    tasks = make_tasks(tasks=20, shots=1, queries=15, dim=64, seed=3)
    few = tasks.query[tasks.query_labels < 2].view(20, -1, 64)
    used = []
    for lam in (0.01, 1.0, 10.0):
        found = create_learner("paddle", lam=lam).fit(tasks.support, tasks.labels, 5)(few).softmax(-1)
        used.append((found.mean(1) > 0.01).sum(1).float().mean())
    assert used[0] > used[1] > used[2]


def test_a_query_of_a_batch_with_unlabelled_items_has_the_same_penalty(make_tasks):
    """The penalty counts unlabelled items as queries, so who is asked for does not matter."""
    tasks = make_tasks(queries=8)
    learner = create_learner("paddle")
    whole = learner.fit(tasks.support, tasks.labels, 5)(tasks.query)
    part = learner.fit(tasks.support, tasks.labels, 5, unlabelled=tasks.query[:, 10:])(tasks.query[:, :10])
    torch.testing.assert_close(part.softmax(-1), whole[:, :10].softmax(-1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("setting", [{"lam": 0.0}, {"steps": 0}])
def test_wrong_settings_are_told(setting):
    with pytest.raises(InvalidInput, match="paddle: .* must be above zero, found 0"):
        create_learner("paddle", **setting)
