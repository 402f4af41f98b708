import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, enet_path

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.transductive.ici import vanishing_penalties


def normalised(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def directions_of(x, dims):
    left, lengths, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return left[:, :dims] * (lengths[:dims] > 1e-6)


def vanishing(directions, targets):
    """scikit-learn's group lasso path of the incidental parameters: the lowest of 100 penalties at which each is zero.

    Within one step of the path, the length of the residual there puts the items in order.
    """
    rest = np.eye(len(directions)) - directions @ directions.T
    _, path, _ = enet_path(rest, rest @ targets, l1_ratio=1.0, tol=1e-6, max_iter=10_000)
    found = np.full(len(directions), np.inf)
    for parameters in path.T:  # (penalty, item, class), the highest penalty first
        clean = targets - parameters
        residuals = np.linalg.norm(targets - directions @ (directions.T @ clean), axis=1)
        found = np.where(np.abs(parameters).sum(1) == 0, residuals, found)
    return found


def classify(x, labels, query, C):
    """Logits up to a constant, of two classes or more."""
    C = 2 * C if labels.max() == 1 else C  # two classes are fitted there with one weight vector, of twice the weight
    return LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(x, labels).predict_proba(query)


def reference(support, labels, query, features="l2", taken=5, dims=5, C=10.0):
    if features == "l2":
        support, query = normalised(support), normalised(query)
    x, ways = np.concatenate([support, query]), labels.max() + 1
    directions = directions_of(x, dims)
    joined = np.zeros(len(query), bool)
    while True:
        inside = np.concatenate([np.ones(len(support), bool), joined])
        if not joined.any():
            pseudo = np.zeros(len(query), int)
        everyone = np.concatenate([labels, pseudo])
        probabilities = classify(x[inside], everyone[inside], query, C)
        if joined.all():
            return probabilities
        pseudo = probabilities.argmax(1)
        doubt = vanishing(directions, np.eye(ways)[np.concatenate([labels, pseudo])])[len(support) :]
        for way in range(ways):
            members = np.flatnonzero((pseudo == way) & ~joined)
            joined[members[np.argsort(doubt[members])][:taken]] = True


def assert_follows(tasks, keep=slice(None), count=2, **settings):
    query = tasks.query[:count, keep].double()
    learner = create_learner("ici", **settings)
    found = learner.fit(tasks.support[:count].double(), tasks.labels[:count], tasks.ways)(query).softmax(2)
    for task in range(count):
        expected = reference(
            tasks.support[task].double().numpy(), tasks.labels[task].numpy(), query[task].numpy(), **settings
        )
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_it_follows_the_paper(grid_tasks):
    if grid_tasks.ways == 1:  # scikit-learn knows two classes or more
        found = create_learner("ici").fit(grid_tasks.support, grid_tasks.labels, 1)(grid_tasks.query)
        assert found.shape == (4, 1, 1)
        return
    assert_follows(grid_tasks, features="" if grid_tasks.support.shape[2] == 1 else "l2")  # numbers of length 1 tie


@pytest.mark.parametrize("settings", [{"taken": 2}, {"dims": 2}, {"C": 0.5}, {"taken": 100}], ids=str)
def test_each_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2, shots=1, queries=6, dim=32, spread=0.8), **settings)


def test_it_follows_the_paper_on_unequal_classes(make_tasks):
    assert_follows(make_tasks(tasks=2, queries=10, dim=32, shots=1, spread=0.8), keep=slice(0, 27), count=1)


def test_incidental_parameters_vanish_where_scikit_learns_do(make_tasks):
    tasks = make_tasks(tasks=3, queries=10, dim=32, spread=0.2)
    directions = np.stack([directions_of(x.double().numpy(), 5) for x in tasks.query])
    wrong = torch.rand(3, 50, generator=torch.Generator().manual_seed(0)) < 0.3
    targets = torch.eye(5, dtype=torch.float64)[torch.where(wrong, tasks.query_labels.roll(1, 1), tasks.query_labels)]
    found = vanishing_penalties(torch.from_numpy(directions), targets)
    for task in range(3):
        apart = np.abs(np.log(found[task].numpy() / vanishing(directions[task], targets[task].numpy())))
        assert apart.max() < np.log(1000) / 99  # a step of the path
        assert np.quantile(apart, 0.95) < 1e-3
    right = tasks.query_labels.roll(1, 1) == tasks.query_labels
    assert found[wrong & ~right].mean() > 2 * found[~wrong].mean()


def test_more_dimensions_than_items_are_as_many_as_there_are(make_tasks):
    tasks = make_tasks(ways=2, shots=1, queries=1)
    few, many = (create_learner("ici", dims=dims).fit(tasks.support, tasks.labels, 2)(tasks.query) for dims in (4, 100))
    torch.testing.assert_close(few, many)


def test_wrong_settings_are_told():
    for setting in ("taken", "dims", "C"):
        with pytest.raises(InvalidInput, match=f"ici: {setting} must be above zero"):
            create_learner("ici", **{setting: 0})
