import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import TIMGD, AlphaTIM


def reference(support, labels, query, alpha, steps=1000, rate=1e-4, temperature=15.0):
    """The loss of the paper with alpha-entropies for one task, with gradients by autograd."""
    support, query = normalize(support.double(), dim=1), normalize(query.double(), dim=1)
    prototypes = torch.stack([support[labels == way].mean(0) for way in range(labels.max() + 1)]).requires_grad_()
    optimiser = torch.optim.Adam([prototypes], lr=rate)

    def logits(items):
        return -temperature / 2 * (items[:, None] - prototypes).square().sum(2)

    def entropy(probabilities):
        return (1 - probabilities.pow(alpha).sum(-1)) / (alpha - 1)

    for _ in range(steps):
        predicted = logits(query).softmax(1)
        loss = cross_entropy(logits(support), labels) - entropy(predicted.mean(0)) + entropy(predicted).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits(query).detach()


def logits_of(learner, tasks):
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())


@pytest.mark.parametrize("alpha", [1.5, 2.0, 7.0])
def test_it_follows_the_paper(grid_tasks, alpha):
    found = logits_of(AlphaTIM(alpha=alpha, steps=60, rate=1e-3), grid_tasks)
    for task in range(len(found)):
        expected = reference(*grid_tasks.item(task), alpha, steps=60, rate=1e-3)
        torch.testing.assert_close(found[task], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("shots", "alpha"), [(1, 2.0), (4, 2.0), (5, 7.0)])
def test_its_defaults_are_the_papers(make_tasks, shots, alpha):
    tasks = make_tasks(tasks=1, shots=shots)
    torch.testing.assert_close(logits_of(AlphaTIM(), tasks)[0], reference(*tasks.item(0), alpha), atol=1e-6, rtol=0)


def test_each_task_of_a_padded_batch_has_its_own_alpha(make_tasks):
    one, five = make_tasks(tasks=1, shots=1), make_tasks(tasks=1, shots=5, seed=1)
    support, labels = torch.zeros(2, 25, 16).double(), torch.full((2, 25), -1)
    support[0, :5], support[1], labels[0, :5], labels[1] = (
        one.support[0],
        five.support[0],
        one.labels[0],
        five.labels[0],
    )
    query = torch.cat([one.query, five.query]).double()
    found = AlphaTIM(steps=100).fit(support, labels, 5)(query)
    for task, (tasks, alpha) in enumerate([(one, 2.0), (five, 7.0)]):
        expected = logits_of(AlphaTIM(alpha=alpha, steps=100), tasks)[0]
        torch.testing.assert_close(found[task], expected, atol=1e-9, rtol=0)


def test_alpha_near_one_is_shannons(make_tasks):
    tasks = make_tasks()
    shannon = TIMGD(cross_entropy=1.0, conditional=1.0, steps=100)
    near = AlphaTIM(alpha=1 + 1e-5, steps=100)
    torch.testing.assert_close(logits_of(near, tasks), logits_of(shannon, tasks), atol=1e-3, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, -2.0, 1.0])
def test_a_wrong_alpha_is_told(alpha):
    with pytest.raises(InvalidInput, match="alpha-tim: alpha must be above zero and not 1"):
        AlphaTIM(alpha=alpha)
