from math import ceil

import pytest
import torch
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.learners import Finetune


def reference(support, labels, query, rate=0.01, momentum=0.9, decay=0.001, epochs=100, batch=4):
    """A linear layer of torch with torch's SGD for one task, started at zero, on the whole support."""
    support, query = support.double(), query.double()
    head = torch.nn.Linear(support.shape[1], int(labels.max()) + 1, dtype=torch.float64)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimiser = torch.optim.SGD(head.parameters(), lr=rate, momentum=momentum, dampening=momentum, weight_decay=decay)
    for _ in range(epochs * ceil(len(support) / batch)):
        optimiser.zero_grad()
        cross_entropy(head(support), labels).backward()
        optimiser.step()
    return head(query).detach()


def logits_of(learner, tasks):
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())


def test_it_follows_the_paper(grid_tasks):
    found = logits_of(Finetune(epochs=10), grid_tasks)
    for task in range(len(found)):
        torch.testing.assert_close(found[task], reference(*grid_tasks.item(task), epochs=10), atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [{}, {"rate": 0.1}, {"momentum": 0.5}, {"momentum": 0.0}, {"decay": 0.1}, {"decay": 0.0}, {"batch": 15}],
    ids=str,
)
def test_each_setting_is_the_references(make_tasks, settings):
    tasks = make_tasks(tasks=1)
    found = logits_of(Finetune(**settings), tasks)[0]
    torch.testing.assert_close(found, reference(*tasks.item(0), **settings), atol=1e-8, rtol=0)
    assert not settings or not torch.allclose(found, logits_of(Finetune(), tasks)[0], atol=1e-7)


def test_a_large_support_gets_more_steps_in_a_padded_batch(make_tasks):
    one, five = make_tasks(tasks=1, shots=1), make_tasks(tasks=1, shots=5, seed=1)
    support, labels = torch.zeros(2, 25, 16).double(), torch.full((2, 25), -1)
    support[0, :5], support[1], labels[0, :5], labels[1] = (
        one.support[0],
        five.support[0],
        one.labels[0],
        five.labels[0],
    )
    found = Finetune(epochs=20).fit(support, labels, 5)(torch.cat([one.query, five.query]).double())
    for task, tasks in enumerate([one, five]):
        torch.testing.assert_close(found[task], reference(*tasks.item(0), epochs=20), atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", ["rate", "epochs", "batch"])
def test_wrong_settings_are_told(name):
    with pytest.raises(InvalidInput, match=f"finetune: {name} must be above zero, found 0"):
        Finetune(**{name: 0})


def test_a_momentum_or_decay_out_of_range_is_told():
    with pytest.raises(InvalidInput, match=r"finetune: momentum must be in \[0, 1\), found 1"):
        Finetune(momentum=1.0)
    with pytest.raises(InvalidInput, match="finetune: decay must be zero or more, found -1"):
        Finetune(decay=-1.0)
