import numpy as np
import torch

from fewshot.learners import MatchingFCE
from fewshot.learners.support import Support


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def lstm_cell(x, hidden, cell, weights, name):
    """One step of a long short-term memory with the weights of `name`; gates: input, forget, cell, output."""
    part = {key.removeprefix(f"{name}.").removesuffix("_l0"): w for key, w in weights.items() if key.startswith(name)}
    gates = part["weight_ih"] @ x + part["bias_ih"] + part["weight_hh"] @ hidden + part["bias_hh"]
    write, forget, new, output = np.split(gates, 4)
    cell = sigmoid(forget) * cell + sigmoid(write) * np.tanh(new)
    return sigmoid(output) * np.tanh(cell), cell


def said(items, weights, name):
    hidden = cell = np.zeros(items.shape[1])
    found = []
    for x in items:
        hidden, cell = lstm_cell(x, hidden, cell, weights, name)
        found.append(hidden)
    return np.array(found)


def reference(support, labels, query, weights, steps, temperature):
    """Appendix A of the paper, one task and one query at a time, the support in the order of its projection."""

    def unit(x):
        return x / max(np.linalg.norm(x), 1e-12) * np.sqrt(len(x))

    def narrow(x):
        return weights["down.weight"] @ unit(x) + weights["down.bias"]

    order = np.argsort(support @ weights["direction"])
    support, labels = support[order], labels[order]
    small = np.array([narrow(x) for x in support])
    g = small + said(small, weights, "ascending") + said(small[::-1], weights, "descending")[::-1]
    embedded = np.array([unit(x) + weights["up.weight"] @ y for x, y in zip(support, g, strict=True)])
    probabilities = np.zeros((len(query), labels.max() + 1))
    for row, x in enumerate(query):
        hidden, cell = np.zeros_like(g[0]), np.zeros_like(g[0])
        for _ in range(steps):
            read = softmax(g @ hidden) @ g
            output, cell = lstm_cell(np.concatenate([narrow(x), read]), hidden, cell, weights, "reading")
            hidden = output + narrow(x)
        f = unit(x) + weights["up.weight"] @ hidden
        cosines = np.array([f @ y / np.linalg.norm(f) / np.linalg.norm(y) for y in embedded])
        np.add.at(probabilities[row], labels, softmax(cosines / temperature))
    return probabilities


def test_it_follows_the_paper(grid_tasks, random_weights):
    tasks, dim = grid_tasks, grid_tasks.support.shape[2]
    learner = random_weights(MatchingFCE(hidden=5, steps=3, temperature=0.4), dim)
    weights = {name: t.double().numpy() for name, t in learner.loaded(torch.zeros(1, dim)).state_dict().items()}
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(float), labels, query.astype(float), weights, 3, 0.4)
        np.testing.assert_allclose(found[task].exp(), expected, atol=1e-9)


def test_equal_items_have_no_order(make_tasks, random_weights):
    """Two of one place get the mean of what the LSTMs say there, whichever of their classes is given first."""
    tasks = make_tasks()
    learner, support = random_weights(MatchingFCE(), 16), tasks.support.clone()
    support[:, 1] = support[:, 0]
    labels = torch.arange(5).repeat(3).expand(4, -1)
    order = torch.cat([torch.tensor([1, 0]), torch.arange(2, 15)])
    found = learner.fit(support, labels, 5)(tasks.query).exp()
    torch.testing.assert_close(learner.fit(support[:, order], labels[:, order], 5)(tasks.query).exp(), found)


def test_before_training_it_is_matching_with_a_temperature(make_tasks):
    tasks = make_tasks()
    none = torch.empty(4, 0, 16), torch.empty(4, 0, dtype=torch.bool)
    support = Support(tasks.support, tasks.labels, torch.ones(4, 5, dtype=torch.bool), *none)
    found = MatchingFCE(temperature=0.2).network(16).logits(support, tasks.query).exp()
    unit = torch.nn.functional.normalize
    attention = (unit(tasks.query, dim=2) @ unit(tasks.support, dim=2).mT / 0.2).softmax(2)
    expected = torch.stack([(attention * (tasks.labels == way)[:, None]).sum(2) for way in range(5)], 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
