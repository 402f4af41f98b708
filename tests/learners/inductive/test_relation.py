import numpy as np
import pytest
import torch

from fewshot.learners import Relation, SimpleShot
from fewshot.learners.support import Support


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(support, labels, query, weights):
    """The relation score of each pair: a module on the concatenation of class and query, one pair at a time."""

    def unit(x):
        return x / max(np.linalg.norm(x), 1e-12)

    layer = np.concatenate([weights["of_class.weight"], weights["of_query.weight"]], axis=1)
    scores = np.zeros((len(query), labels.max() + 1))
    for way in range(scores.shape[1]):
        prototype = np.mean([unit(x) for x in support[labels == way]], axis=0)
        for row, x in enumerate(query):
            pair = np.sqrt(len(x)) * np.concatenate([prototype, unit(x)])
            relation = weights["relation.weight"][0] @ np.maximum(layer @ pair + weights["of_class.bias"], 0)
            cosine = unit(prototype) @ unit(x)
            scores[row, way] = sigmoid(weights["slope"] * (cosine + relation) + weights["offset"])
    return scores


def test_it_follows_the_paper(grid_tasks, random_weights):
    tasks, dim = grid_tasks, grid_tasks.support.shape[2]
    learner = random_weights(Relation(hidden=6), dim)
    weights = {name: t.double().numpy() for name, t in learner.loaded(torch.zeros(1, dim)).state_dict().items()}
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(float), labels, query.astype(float), weights)
        np.testing.assert_allclose(found[task].sigmoid(), expected, atol=1e-9)
        # independent scores, of which one is right: the probability of each class given that
        alone = expected * np.stack([np.delete(1 - expected, way, 1).prod(1) for way in range(tasks.ways)], 1)
        np.testing.assert_allclose(found[task].softmax(1), alone / alone.sum(1, keepdims=True), atol=1e-9)


def test_loss_is_the_squared_error(make_tasks, random_weights):
    tasks = make_tasks()
    learner = random_weights(Relation(), 16)
    none = torch.empty(4, 0, 16), torch.empty(4, 0, dtype=torch.bool)
    support = Support(tasks.support, tasks.labels, torch.ones(4, 5, dtype=torch.bool), *none)
    scores = learner.fit(tasks.support, tasks.labels, 5)(tasks.query).sigmoid()
    errors = [
        (float(scores[t, q, way]) - float(tasks.query_labels[t, q] == way)) ** 2
        for t in range(4)
        for q in range(20)
        for way in range(5)
    ]
    found = learner.loaded(tasks.support).loss(support, tasks.query, tasks.query_labels)
    assert float(found) == pytest.approx(np.mean(errors), abs=1e-5)


def test_before_training_it_is_the_cosine(make_tasks):
    tasks = make_tasks(shots=1)
    network = Relation().network(16)
    none = torch.empty(4, 0, 16), torch.empty(4, 0, dtype=torch.bool)
    support = Support(tasks.support, tasks.labels, torch.ones(4, 5, dtype=torch.bool), *none)
    logits = network.logits(support, tasks.query)
    baseline = SimpleShot("L2N").fit(tasks.support, tasks.labels, 5)(tasks.query)
    assert (logits.argmax(2) == baseline.argmax(2)).all()
