import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import TIMGD


def reference(support, labels, query, weights=(0.1, 1.0, 0.1), temperature=15.0, rate=1e-4, steps=1000):
    """Equations 2 to 4 of the paper for one task, with gradients by autograd."""
    support, query = normalize(support.double(), dim=1), normalize(query.double(), dim=1)
    prototypes = torch.stack([support[labels == way].mean(0) for way in range(labels.max() + 1)]).requires_grad_()
    optimiser = torch.optim.Adam([prototypes], lr=rate)

    def logits(items):
        return -temperature / 2 * (items[:, None] - prototypes).square().sum(2)

    for _ in range(steps):
        predicted = logits(query).softmax(1)
        marginal = torch.special.entr(predicted.mean(0)).sum()
        conditional = torch.special.entr(predicted).sum(1).mean()
        loss = weights[0] * cross_entropy(logits(support), labels) - weights[1] * marginal + weights[2] * conditional
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return logits(query).detach()


def logits_of(learner, tasks):
    return learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(tasks.query.double())


def test_it_follows_the_paper(grid_tasks):
    found = logits_of(TIMGD(steps=60, rate=1e-3), grid_tasks)
    for task in range(len(found)):
        expected = reference(*grid_tasks.item(task), steps=60, rate=1e-3)
        torch.testing.assert_close(found[task], expected, atol=1e-6, rtol=0)


def test_its_defaults_are_the_papers(make_tasks):
    tasks = make_tasks(tasks=1)
    torch.testing.assert_close(logits_of(TIMGD(), tasks)[0], reference(*tasks.item(0)), atol=1e-6, rtol=0)


def test_single_precision_is_enough(make_tasks):
    tasks = make_tasks(dim=64, shots=1)
    found = TIMGD().fit(tasks.support, tasks.labels, 5)(tasks.query)
    torch.testing.assert_close(found.softmax(2).double(), logits_of(TIMGD(), tasks).softmax(2), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"cross_entropy": 1.0}, {"weights": (1.0, 1.0, 0.1)}),
        ({"marginal": 0.0}, {"weights": (0.1, 0.0, 0.1)}),
        ({"conditional": 1.0}, {"weights": (0.1, 1.0, 1.0)}),
        ({"temperature": 5.0}, {"temperature": 5.0}),
    ],
    ids=str,
)
def test_each_setting_is_the_references(make_tasks, settings, changed):
    tasks = make_tasks(tasks=1)
    found = logits_of(TIMGD(steps=30, rate=1e-3, **settings), tasks)[0]
    torch.testing.assert_close(found, reference(*tasks.item(0), steps=30, rate=1e-3, **changed), atol=1e-6, rtol=0)
    assert not torch.allclose(found.softmax(1), logits_of(TIMGD(steps=30, rate=1e-3), tasks)[0].softmax(1), atol=1e-3)


def test_unbalanced_queries(make_tasks):
    tasks = make_tasks(tasks=1, queries=8)
    kept = tasks.query[:, tasks.query_labels[0] != 2][:, :17]
    found = TIMGD(steps=200).fit(tasks.support.double(), tasks.labels, 5)(kept.double())[0]
    expected = reference(tasks.support[0], tasks.labels[0], kept[0], steps=200)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_it_makes_classes_more_equal_and_predictions_more_confident(make_tasks):
    tasks = make_tasks(tasks=50, shots=1, queries=15, spread=1.0)
    start, end = (logits_of(TIMGD(steps=steps), tasks).softmax(2) for steps in (1, 1000))
    entropy = torch.special.entr
    assert entropy(end.mean(1)).sum(1).mean() > entropy(start.mean(1)).sum(1).mean()
    assert entropy(end).sum(2).mean() < entropy(start).sum(2).mean()


@pytest.mark.parametrize("name", ["temperature", "rate", "steps", "cross_entropy"])
def test_wrong_settings_are_told(name):
    with pytest.raises(InvalidInput, match=f"tim-gd: {name} must be above zero, found 0"):
        TIMGD(**{name: 0})


@pytest.mark.parametrize("name", ["marginal", "conditional"])
def test_weights_below_zero_are_told(name):
    with pytest.raises(InvalidInput, match=f"tim-gd: {name} must be zero or more, found -1"):
        TIMGD(**{name: -1})
