import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import BMS


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


def min_size_sinkhorn(plan, least):
    for _ in range(50):
        plan = plan / plan.sum(1, keepdims=True)
        size = plan.sum(0)
        plan = plan * np.where(size < least, least / size, 1)
    return plan


def trained(items, targets, weight, epochs, rate, momentum):
    """Gradient descent on the cross entropy of a scaled cosine, differentiated by torch."""
    items, targets = torch.tensor(items), torch.tensor(targets)
    weight, scale = torch.tensor(weight, requires_grad=True), torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, scale], lr=rate, momentum=momentum)
    for _ in range(epochs):
        optimizer.zero_grad()
        scores = scale * items @ (weight / weight.norm(dim=1, keepdim=True)).T
        (-(targets * scores.log_softmax(1)).sum(1).mean()).backward()
        optimizer.step()
        weight.data /= weight.data.norm(dim=1, keepdim=True)
    return weight.detach().numpy()


def reference(support, labels, query, ways, lam=8.5, steps=20, epochs=20, rate=0.1, momentum=0.8):
    """Algorithm 1 of the paper, for one task."""
    items = unit(np.sqrt(np.concatenate([support, query]) + 1e-6))
    items = unit(items - items.mean(0))
    known, query = np.eye(ways)[labels], items[len(labels) :]
    weight = unit(np.stack([items[: len(labels)][labels == way].mean(0) for way in range(ways)]))
    least = np.bincount(labels).min()
    for _ in range(steps):
        plan = min_size_sinkhorn(softmax(lam * query @ weight.T), min(least, len(query) / ways))
        least = np.bincount(plan.argmax(1), minlength=ways).min()
        targets = np.concatenate([known, plan])
        weight = trained(items, targets, unit(targets.T @ items), epochs, rate, momentum)
    return plan / plan.sum(1, keepdims=True)


def assert_follows(tasks, queries=None, **settings):
    query = tasks.query[:, :queries].double()
    found = BMS(**settings).fit(tasks.support.double(), tasks.labels, tasks.ways)(query).softmax(-1)
    for task in range(len(found)):
        support, labels, _ = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query[task].numpy(), tasks.ways, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1, 3, 8), (5, 1, 4, 64), (5, 5, 3, 7), (5, 3, 15, 32)])
def test_it_follows_the_paper(make_tasks, shape):
    ways, shots, queries, dim = shape
    assert_follows(make_tasks(tasks=2, ways=ways, shots=shots, queries=queries, dim=dim))


def test_it_follows_the_paper_on_real_features(real_tasks):
    assert_follows(real_tasks)


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"steps": 1}, {"lam": 2.0}, {"epochs": 5, "rate": 1.0}, {"epochs": 5, "momentum": 0.0}]
)
def test_every_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2), **settings)


def test_unequal_classes_stay_unequal(make_tasks):
    tasks = make_tasks(tasks=1, shots=1, queries=20, dim=64, spread=0.1)
    keep = (tasks.query_labels[0] > 1) | (torch.arange(100) % 4 == 0)  # few of two classes
    query, labels = tasks.query[:, keep], tasks.query_labels[0, keep]
    found = BMS().fit(tasks.support, tasks.labels, 5)(query)[0].argmax(-1)
    assert torch.equal(found.bincount(minlength=5), labels.bincount(minlength=5))
    assert_follows(tasks, queries=37)


def test_wrong_settings_are_refused():
    for setting in ("lam", "steps", "rate"):
        with pytest.raises(InvalidInput, match=f"bms: {setting} must be above zero"):
            BMS(**{setting: 0})
    for settings in ({"epochs": -1}, {"momentum": 1.0}):
        with pytest.raises(InvalidInput, match="bms: epochs must be 0 or more and momentum from 0 to below 1"):
            BMS(**settings)
