import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.transductive.graph import nearest_neighbours


def normalised(x):
    return np.array([row / max(np.linalg.norm(row), 1e-12) for row in x])


def softmax(rows):
    exponents = np.exp(rows - rows.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def class_means(x, labels):
    return np.array([x[labels == way].mean(0) for way in range(labels.max() + 1)])


def rectified(support, labels, query):
    means, items = class_means(support, labels), np.concatenate([support, query])
    cosines = items @ means.T / np.linalg.norm(items, axis=1)[:, None] / np.linalg.norm(means, axis=1)
    weights, nearest = softmax(10 * cosines), cosines >= cosines.max(1, keepdims=True) - 1e-9
    for way in range(len(means)):
        if nearest[:, way].any():
            means[way] = (weights[nearest[:, way], way][:, None] * items[nearest[:, way]]).mean(0)
    return means


def graph(query, neighbours):
    edges = np.zeros((len(query), len(query)))
    for i, x in enumerate(query):
        others = sorted((np.sum((x - y) ** 2), j) for j, y in enumerate(query) if j != i)
        for _, j in others[: neighbours - 1]:
            edges[i, j] = 1
    return edges


def bound_updates(unary, edges, lam, steps):
    y, before = softmax(-unary), np.nan
    for _ in range(steps):
        y = softmax(-unary + lam * edges @ y)
        now = np.sum(y * np.log(np.maximum(y, 1e-300)) + unary * y - lam * y * (edges @ y))
        if abs(now - before) <= 1e-6 * abs(before):
            break
        before = now
    return y


def reference(
    support,
    labels,
    query,
    mean,
    features="centre-base+l2",
    lam=0.7,
    neighbours=3,
    rectify=True,
    classify="shifted",
    steps=20,
):
    support, query = support - mean, query - mean
    if "l2" in features:
        support, query = normalised(support), normalised(query)
    shifted = query + support.mean(0) - query.mean(0)
    means = rectified(support, labels, shifted) if rectify else class_means(support, labels)
    compared = shifted if rectify and classify == "shifted" else query
    unary = np.array([[np.sum((x - m) ** 2) for m in means] for x in compared])
    return bound_updates(unary, graph(query, neighbours), lam, steps)


def assert_follows(tasks, keep=slice(None), **settings):
    learner = create_learner("laplacianshot", **settings)
    query = tasks.query[:, keep].double()
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, tasks.base)(query).softmax(2)
    for task in range(len(found)):
        support, mean = tasks.support[task].double().numpy(), tasks.base.mean.double().numpy()
        expected = reference(support, tasks.labels[task].numpy(), query[task].numpy(), mean, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-9)


VARIANTS = [
    {},
    {"classify": "unshifted"},
    {"rectify": False},
    {"neighbours": 6, "lam": 0.3},
    {"neighbours": 100, "lam": 0.1},
    {"steps": 2},
    {"lam": 2.0},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_it_follows_the_paper(grid_tasks, settings):
    recipe = {"features": "centre-base"} if grid_tasks.support.shape[2] == 1 else {}  # numbers of length 1 tie
    assert_follows(grid_tasks, **settings, **recipe)


def test_it_follows_the_paper_on_unequal_classes(make_tasks):
    assert_follows(make_tasks(tasks=8, queries=15, dim=64, shots=1), keep=slice(0, 31))


def test_tied_neighbours_share_the_edges():
    """Of four items on a line, 0 and 2 are equally far from 1; 3 is nearest to 2."""
    place = torch.tensor([[0.0, 1.0, 2.0, 2.5]])
    similarity, mask = -(place[..., None] - place[:, None]).square(), torch.ones(1, 4, dtype=torch.bool)
    expected = torch.tensor([[0.0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    assert torch.equal(nearest_neighbours(similarity, mask, 1)[0], expected)
    mask[0, 3] = False
    expected = torch.tensor([[0.0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert torch.equal(nearest_neighbours(similarity, mask, 1)[0], expected)
    assert torch.equal(nearest_neighbours(similarity, mask, 3)[0, :3, :3], 1 - torch.eye(3))
    assert torch.equal(nearest_neighbours(similarity, mask, 9)[0].sum(1), torch.tensor([2.0, 2, 2, 0]))
    assert torch.equal(nearest_neighbours(similarity[:, :1, :1], mask[:, :1], 1), torch.zeros(1, 1, 1))


def test_equal_queries_get_equal_answers_whatever_their_order(make_tasks):
    tasks = make_tasks()
    query = tasks.query[:, :5].repeat_interleave(4, 1)
    head = create_learner("laplacianshot").fit(tasks.support, tasks.labels, 5, tasks.base)
    found = head(query)
    torch.testing.assert_close(found.view(4, 5, 4, 5), found.view(4, 5, 4, 5)[:, :, :1].expand(-1, -1, 4, -1))
    order = torch.randperm(20)
    torch.testing.assert_close(head(query[:, order]), found[:, order], atol=1e-4, rtol=0)


def test_a_query_without_neighbours_is_as_without_graph(make_tasks):
    tasks = make_tasks()
    fitted = [
        create_learner("laplacianshot", **settings).fit(tasks.support, tasks.labels, 5, tasks.base)
        for settings in ({}, {"neighbours": 1})
    ]
    torch.testing.assert_close(fitted[0](tasks.query[:, :1]), fitted[1](tasks.query[:, :1]))


def test_wrong_settings_are_told():
    for setting in ("lam", "neighbours", "steps"):
        with pytest.raises(InvalidInput, match=f"laplacianshot: {setting} must be above zero"):
            create_learner("laplacianshot", **{setting: 0})
