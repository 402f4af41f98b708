from math import ceil

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import Cosine


def reference(support, labels, query, scale=2.0, rate=0.01, momentum=0.9, decay=0.001, epochs=100, batch=4):
    """Weight normalisation and torch's SGD for one task, started at class means, on the whole support."""
    support, query = normalize(support.double(), dim=1), normalize(query.double(), dim=1)
    means = torch.stack([support[labels == way].mean(0) for way in range(labels.max() + 1)])
    vectors = (normalize(means, dim=1) / 3**0.5).requires_grad_()
    norms = torch.full((len(means), 1), 3**-0.5, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([vectors, norms], lr=rate, momentum=momentum, dampening=momentum, weight_decay=decay)

    def logits(items):
        return scale * items @ (norms * vectors * inverse_lengths(vectors)).T

    def inverse_lengths(vectors):
        lengths = vectors.square().sum(1, keepdim=True)
        return torch.where(lengths > 0, lengths.clamp(min=1e-20).rsqrt(), 0)  # a vector of zeros has no direction

    for _ in range(epochs * ceil(len(support) / batch)):
        optimiser.zero_grad()
        cross_entropy(logits(support), labels).backward()
        optimiser.step()
    return logits(query).detach()


def logits_of(learner, tasks):
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())


def test_it_follows_the_paper(grid_tasks):
    found = logits_of(Cosine(epochs=10), grid_tasks)
    for task in range(len(found)):
        torch.testing.assert_close(found[task], reference(*grid_tasks.item(task), epochs=10), atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [{}, {"scale": 10.0}, {"rate": 0.1}, {"momentum": 0.5}, {"decay": 0.1}, {"batch": 15}, {"epochs": 30}],
    ids=str,
)
def test_each_setting_is_the_references(make_tasks, settings):
    tasks = make_tasks(tasks=1)
    found = logits_of(Cosine(**settings), tasks)[0]
    torch.testing.assert_close(found, reference(*tasks.item(0), **settings), atol=1e-8, rtol=0)
    assert not settings or not torch.allclose(found, logits_of(Cosine(), tasks)[0], atol=1e-7)


def test_lengths_of_features_do_not_matter(make_tasks):
    tasks = make_tasks()
    lengths = 0.1 + 9 * torch.rand(4, 15, 1, dtype=torch.float64)
    found = Cosine().fit(lengths * tasks.support.double(), tasks.labels, 5)(3 * tasks.query.double())
    torch.testing.assert_close(found, logits_of(Cosine(), tasks), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["scale", "rate", "epochs", "batch"])
def test_wrong_settings_are_told(name):
    with pytest.raises(InvalidInput, match=f"cosine: {name} must be above zero, found 0"):
        Cosine(**{name: 0})
