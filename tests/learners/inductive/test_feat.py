import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import FEAT
from fewshot.learners.support import Support


def unit(x):
    return x / max(np.linalg.norm(x), 1e-12) * np.sqrt(len(x))


def layer_norm(x, weights):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weights["norm.weight"] + weights["norm.bias"]


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def adapted(items, weights):
    """Section 3.3, one item at a time: attention over the set, residual, layer norm."""
    found = []
    for x in items:
        closeness = [weights["queries.weight"] @ x @ (weights["keys.weight"] @ other) for other in items]
        attention = softmax(np.array(closeness) / np.sqrt(len(weights["keys.weight"])))
        mixed = sum(a * (weights["values.weight"] @ other) for a, other in zip(attention, items, strict=True))
        found.append(layer_norm(x + weights["output.weight"] @ mixed, weights))
    return np.array(found)


def reference(support, labels, query, weights, temperature):
    """Minus the squared distances to the adapted class means, one query at a time."""
    ways, dim = labels.max() + 1, support.shape[1]
    support, query = np.array([unit(x) for x in support]), np.array([unit(x) for x in query])
    prototypes = adapted([support[labels == way].mean(0) for way in range(ways)], weights)
    return np.array([[-np.sum((x - p) ** 2) / (temperature * dim) for p in prototypes] for x in query])


def contrast(support, labels, query, query_labels, weights, temperature):
    """Section 3.4, one class at a time: the support is compared with the means of the adapted classes."""
    items = np.array([unit(x) for x in np.concatenate([support, query])])
    every, dim = np.concatenate([labels, query_labels]), support.shape[1]
    classes = [adapted(items[every == way], weights) for way in range(labels.max() + 1)]
    centres, losses = [members.mean(0) for members in classes], []
    for way, members in enumerate(classes):
        for x in members[: (labels == way).sum()]:
            closeness = np.array([-np.sum((x - centre) ** 2) / (temperature * dim) for centre in centres])
            losses.append(-np.log(softmax(closeness)[way]))
    return np.mean(losses)


def weights_of(learner, dim):
    return {name: t.double().numpy() for name, t in learner.loaded(torch.zeros(1, dim)).state_dict().items()}


def test_it_follows_the_paper(grid_tasks, random_weights):
    tasks, dim = grid_tasks, grid_tasks.support.shape[2]
    learner = random_weights(FEAT(hidden=5, temperature=0.3), dim)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(float), labels, query.astype(float), weights_of(learner, dim), 0.3)
        np.testing.assert_allclose(found[task], expected, atol=1e-9)


def test_loss_is_that_of_the_paper(make_tasks, random_weights):
    tasks = make_tasks()
    learner = random_weights(FEAT(contrast=0.7, temperature=0.3), 16)
    network, weights = learner.loaded(tasks.support.double()), weights_of(learner, 16)
    none = torch.empty(4, 0, 16), torch.empty(4, 0, dtype=torch.bool)
    support = Support(tasks.support.double(), tasks.labels, torch.ones(4, 5, dtype=torch.bool), *none)
    expected = []
    for task in range(4):
        support_, labels, query = (x.numpy() for x in tasks.item(task))
        targets = tasks.query_labels[task].numpy()
        support_, query = support_.astype(float), query.astype(float)
        logits = reference(support_, labels, query, weights, 0.3)
        main = np.mean([-np.log(softmax(row)[target]) for row, target in zip(logits, targets, strict=True)])
        expected.append(main + 0.7 * contrast(support_, labels, query, targets, weights, 0.3))
    found = network.loss(support, tasks.query.double(), tasks.query_labels)
    assert float(found) == pytest.approx(np.mean(expected), abs=1e-9)


def test_a_negative_weight_is_refused():
    with pytest.raises(InvalidInput, match="feat: contrast must be 0 or more, found -1"):
        FEAT(contrast=-1.0)
    with pytest.raises(InvalidInput, match="feat: hidden must be above zero"):
        FEAT(hidden=0)
