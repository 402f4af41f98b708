import numpy as np
import pytest
import torch
from scipy.special import digamma

from fewshot.errors import InvalidInput
from fewshot.learners import BaseStatistics, create_learner


def softmax(scores):
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def whitened(items, base, base_labels, most):
    """In the span of the task's items, stretched by the scatter that the base classes have there."""
    base = unit(base - base.mean(0))
    scatter = np.zeros((base.shape[1],) * 2)
    for code in np.unique(base_labels):
        residue = base[base_labels == code] - base[base_labels == code].mean(0)
        scatter += residue.T @ residue
    scatter = scatter / len(np.unique(base_labels)) + 1e-6 * np.eye(len(scatter))
    left, values, _ = np.linalg.svd(items.T, full_matrices=False)
    left = left[:, values > 1e-9 * values.max()]
    within = np.linalg.inv(left.T @ np.linalg.inv(scatter) @ left)
    spread, axes = np.linalg.eigh(within)
    return items @ left @ axes * np.minimum(spread**-0.5, most)


def reference(support, labels, query, base=None, base_labels=None, T_km=10, T_vb=4, most=5, steps=5, km_steps=5):
    """Hu et al. 2022: soft k-means, then variational steps in the span of the class means."""
    items = np.concatenate([support, query])
    items = unit(items - (items.mean(0) if base is None else base.mean(0)))
    known, ways = len(support), labels.max() + 1
    members = np.eye(ways)[labels]

    def means_of(points, resp, prior):
        return (resp.T @ points) / (resp.sum(0) + prior)[:, None]

    means = means_of(items[:known], members, 0)
    for _ in range(km_steps):
        scores = -T_km * ((items[:, None] - means) ** 2).sum(2)
        resp = np.concatenate([members, softmax(scores)[known:]])
        means = means_of(items, resp, 0)
    stretched = most * items if base is None else whitened(items, base, base_labels, most)
    for _ in range(steps):
        means = means_of(stretched, resp, 10)
        basis = np.linalg.qr((means[1:] - means[0]).T)[0] if ways > 1 else np.zeros((stretched.shape[1], 1))
        points, centres = stretched @ basis, means @ basis
        alpha = 2 + resp[known:].sum(0)
        scores = digamma(alpha) - digamma(alpha.sum()) - (ways - 1) / (2 * (10 + resp.sum(0)))
        scores = scores - T_vb / 2 * ((points[:, None] - centres) ** 2).sum(2)
        resp = np.concatenate([members, softmax(scores)[known:]])
    return resp[known:]


def assert_follows(tasks, query, whiten, tolerance=1e-6, **settings):
    features = "centre-base+l2" if whiten else "centre-all+l2"
    learner = create_learner("bavardage", features=features, whiten=whiten, **settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, tasks.base)(query.double()).softmax(-1)
    base = (tasks.base.features.double().numpy(), tasks.base.labels.numpy()) if whiten else ()
    settings = {{"kmeans_steps": "km_steps", "stretch": "most"}.get(k, k): v for k, v in settings.items()}
    for task in range(len(found)):
        support, labels = tasks.support[task].double().numpy(), tasks.labels[task].numpy()
        expected = reference(support, labels, query[task].double().numpy(), *base, **settings)
        np.testing.assert_allclose(found[task], expected, atol=tolerance)


@pytest.mark.parametrize("whiten", [False, True])
def test_it_follows_the_paper(grid_tasks, whiten):
    # the base statistics are float32
    assert_follows(grid_tasks, grid_tasks.query, whiten, tolerance=1e-4 if whiten else 1e-6)


@pytest.mark.parametrize("whiten", [False, True])
def test_unequal_queries_follow_the_paper(make_tasks, whiten):
    tasks = make_tasks(queries=12, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(4, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, few, whiten, tolerance=1e-4 if whiten else 1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"T_km": 3.0}, {"T_vb": 1.0}, {"stretch": 2.0}, {"kmeans_steps": 1}, {"kmeans_steps": 8}, {"steps": 1}],
    ids=str,
)
def test_settings_do_as_the_paper_says(make_tasks, settings):
    tasks = make_tasks(seed=4, dim=32, shots=1, spread=1.0)
    assert_follows(tasks, tasks.query, True, tolerance=1e-4, **settings)
    learner = create_learner("bavardage", **settings)
    changed = learner.fit(tasks.support, tasks.labels, 5)(tasks.query)
    default = create_learner("bavardage").fit(tasks.support, tasks.labels, 5)(tasks.query)
    assert not torch.allclose(changed.softmax(-1), default.softmax(-1), atol=1e-4)


def test_what_it_needs_depends_on_its_settings(make_tasks):
    tasks = make_tasks()
    plain, white = create_learner("bavardage"), create_learner("bavardage", whiten=True, features="centre-base+l2")
    assert not plain.needs_base_classes
    assert not plain.needs_base_mean
    assert white.needs_base_classes
    assert white.needs_base_mean
    with pytest.raises(InvalidInput, match="bavardage needs the features of the base classes"):
        white.fit(tasks.support, tasks.labels, 5, BaseStatistics(tasks.base.mean))


def test_wrong_settings_are_told():
    with pytest.raises(InvalidInput, match="bavardage: T_vb must be above zero, found 0"):
        create_learner("bavardage", T_vb=0.0)
    with pytest.raises(InvalidInput, match=r"whiten needs features='centre-base\+l2'.* found 'l2'"):
        create_learner("bavardage", whiten=True, features="l2")
