import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import EASE
from fewshot.learners.transductive.ease import discriminant_subspace


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def normalized(links):
    np.fill_diagonal(links, 0)
    scale = 1 / np.sqrt(1e-4 + links.sum(1))
    return links * np.outer(scale, scale)


def subspace(items, dim=40, rank=5, penalty=100.0):
    """Section 3 of the paper, in the span of the items of one task."""
    left, values, _ = np.linalg.svd(items, full_matrices=False)
    coordinates = (left * values)[:, values > 1e-9]
    top = left[:, :rank][:, values[:rank] > 1e-9]
    graph = penalty * normalized(np.ones((len(items),) * 2)) - normalized(np.abs(top @ top.T))
    return coordinates @ np.linalg.eigh(coordinates.T @ graph @ coordinates)[1][:, :dim]


def reference(support, labels, query, ways, lam=10.0, rate=0.2, steps=40, **settings):
    """The authors' loop for one task: one transport of support and queries, the support's labels put back each time."""
    items = unit(subspace(unit(np.concatenate([support, query])), **settings))
    known, samples = np.eye(ways)[labels], len(labels)
    centres = np.stack([items[:samples][labels == way].mean(0) for way in range(ways)])
    for step in range(steps + 1):
        plan = np.exp(-lam * ((items[:, None] - centres[None]) ** 2).sum(2))
        for _ in range(1000):
            plan /= plan.sum(1, keepdims=True)
            plan[:samples] = known
            plan *= len(items) / ways / plan.sum(0)
            plan[:samples] = known
        if step < steps:
            centres += rate * (plan.T @ items / (len(items) / ways) - centres)
    return plan[samples:] / plan[samples:].sum(1, keepdims=True)


def assert_follows(tasks, **settings):
    learner = EASE(tolerance=1e-9, **settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double()).softmax(-1)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), tasks.ways, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3, 8), (5, 1, 4, 64), (5, 5, 3, 7), (5, 1, 15, 64)])
def test_it_follows_the_paper(make_tasks, shape):
    ways, shots, queries, dim = shape
    assert_follows(make_tasks(tasks=2, ways=ways, shots=shots, queries=queries, dim=dim), steps=15)


def test_it_follows_the_paper_on_real_features(real_tasks):
    assert_follows(real_tasks, steps=15)


@pytest.mark.parametrize("settings", [{"dim": 6}, {"rank": 2}, {"penalty": 1.0}, {"dim": 3, "rank": 1}])
def test_every_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2, dim=32), lam=3.0, steps=5, **settings)


@pytest.mark.parametrize("dim", [4, 100])
def test_padding_does_not_change_the_subspace(dim):
    features = torch.randn(2, 20, 9, generator=torch.Generator().manual_seed(0))
    padded = torch.zeros(2, 120, 9)
    padded[:, :20] = features
    real = (torch.arange(120) < 20).float()[None, :, None].expand(2, -1, -1)
    for wide in (9, 200):
        embedded = torch.nn.functional.pad(padded, (0, wide - 9))
        found = discriminant_subspace(embedded, real, dim, rank=5, penalty=100.0)[:, :20]
        expected = discriminant_subspace(features, real[:, :20], dim, rank=5, penalty=100.0)
        torch.testing.assert_close(found @ found.mT, expected @ expected.mT, atol=1e-4, rtol=0)


def test_the_subspace_leaves_out_what_all_items_share():
    """Two groups around one large common vector: of the first two directions none is the common one."""
    draw = torch.Generator().manual_seed(0)
    groups = torch.randn(2, 30, generator=draw).repeat_interleave(30, 0)
    features = (5 + groups + 0.1 * torch.randn(60, 30, generator=draw))[None]
    found = discriminant_subspace(features, torch.ones(1, 60, 1), dim=1, rank=5, penalty=100.0)[0, :, 0]
    assert (found[:30].mean() * found[30:].mean()) < 0


@pytest.mark.parametrize("setting", ["dim", "rank", "penalty"])
def test_wrong_settings_are_refused(setting):
    with pytest.raises(InvalidInput, match=f"ease: {setting} must be above zero"):
        EASE(**{setting: 0})
