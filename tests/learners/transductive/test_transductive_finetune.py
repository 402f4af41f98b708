import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import TransductiveFinetune


def reference(support, labels, query, epochs=25, rate=5e-5, temperature=1.0):
    """Equations 6 to 8 of the paper for the head of one task, two updates an epoch, with gradients by autograd."""
    support, query = support.double(), query.double()
    means = torch.stack([support[labels == way].mean(0) for way in range(labels.max() + 1)])
    weight, bias = normalize(means, dim=1).requires_grad_(), torch.zeros(len(means)).double().requires_grad_()
    optimiser = torch.optim.Adam([weight, bias], lr=rate)

    def logits(items):
        return temperature * (normalize(items, dim=1) @ weight.T + bias)

    for _ in range(epochs):
        for loss in (
            lambda: cross_entropy(logits(support), labels),
            lambda: torch.special.entr(logits(query).softmax(1)).sum(1).mean(),
        ):
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()
    return logits(query).detach()


def logits_of(learner, tasks, query=None):
    query = tasks.query if query is None else query
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(query.double())


@pytest.mark.parametrize("settings", [{}, {"epochs": 40, "rate": 1e-2}, {"temperature": 8.0, "rate": 1e-3}], ids=str)
def test_it_follows_the_paper(grid_tasks, settings):
    found = logits_of(TransductiveFinetune(**settings), grid_tasks)
    for task in range(len(found)):
        torch.testing.assert_close(found[task], reference(*grid_tasks.item(task), **settings), atol=1e-6, rtol=0)


def test_unbalanced_queries(make_tasks):
    tasks = make_tasks(tasks=1, queries=8)
    query = tasks.query[:, tasks.query_labels[0] != 2][:, :17]
    found = logits_of(TransductiveFinetune(rate=1e-3), tasks, query)[0]
    expected = reference(tasks.support[0], tasks.labels[0], query[0], rate=1e-3)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_it_starts_at_cosines_to_class_means(make_tasks):
    tasks = make_tasks(tasks=1)
    found = logits_of(TransductiveFinetune(rate=1e-12), tasks)[0]
    means = torch.stack([tasks.support[0, tasks.labels[0] == way].mean(0) for way in range(5)])
    expected = normalize(tasks.query[0].double(), dim=1) @ normalize(means.double(), dim=1).T
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_predictions_grow_confident(make_tasks):
    tasks = make_tasks()
    entropies = [
        torch.special.entr(logits_of(TransductiveFinetune(rate=rate), tasks).softmax(2)).sum(2).mean()
        for rate in (1e-4, 1e-3, 1e-2)
    ]
    assert entropies[0] > entropies[1] > entropies[2]


@pytest.mark.parametrize("name", ["epochs", "rate", "temperature"])
def test_wrong_settings_are_told(name):
    with pytest.raises(InvalidInput, match=f"transductive-finetune: {name} must be above zero, found 0"):
        TransductiveFinetune(**{name: 0})
