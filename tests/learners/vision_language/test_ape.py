import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

from fewshot.errors import InvalidInput
from fewshot.learners import APE, APET, TipAdapter, create_learner


def products_by_pairs(samples, classes):
    """The mean product of each channel over all pairs of items of different classes, pair by pair."""
    total, count = np.zeros(samples.shape[1]), 0
    for first in range(len(samples)):
        for second in range(len(samples)):
            if classes[first] != classes[second]:
                total += samples[first] * samples[second]
                count += 1
    return total / max(count, 1)


def chosen(text, samples, classes, share, distinct):
    variance = text.var(0, ddof=1) if len(text) > 1 else np.zeros(text.shape[1])
    worth = -(1 - distinct) * products_by_pairs(samples, classes) + distinct * variance
    return np.sort(np.argsort(-worth)[: max(1, round(share * len(worth)))])


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)  # zeros stay zeros


def reference(support, labels, query, text, scale, learner):
    """Zhu et al. 2023 as their code has it, one task at a time."""
    support, query = unit(support), unit(query)
    samples, classes = np.concatenate([text, support]), np.concatenate([np.arange(len(text)), labels])
    channels = chosen(text, samples, classes, learner.channels, learner.distinct)
    keys, few, words = unit(support[:, channels]), unit(query[:, channels]), unit(text[:, channels])
    expected = np.exp(keys @ words.T)
    expected /= expected.sum(1, keepdims=True)
    values = np.eye(len(text))[labels]
    divergence = (values * np.log2((values + 1e-12) / (expected + 1e-12))).sum(1, keepdims=True)
    values = values * np.exp(learner.gamma * divergence)
    return scale * query @ text.T + learner.alpha * np.exp(-learner.beta * (1 - few @ keys.T)) @ values


@pytest.mark.parametrize("settings", [{}, {"channels": 0.4, "distinct": 0.9, "gamma": 0.7, "alpha": 1.0, "beta": 5.5}])
def test_logits_are_those_of_the_paper(grid_tasks, settings):
    tasks, learner = grid_tasks, APE(**settings)
    if tasks.ways == 1:
        pytest.skip("nothing tells the channels of one class apart: any may be chosen")
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, words=tasks.words)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = (part.double().numpy() for part in tasks.item(task))
        text = tasks.words.vectors[task].double().numpy()
        expected = reference(support, labels.astype(int), query, text, tasks.words.scale, learner)
        np.testing.assert_allclose(found[task], expected, atol=1e-6)


@pytest.mark.parametrize("distinct", [0.0, 0.5, 1.0])
def test_channels_are_those_of_the_loop_over_pairs_for_classes_of_unequal_size(make_tasks, distinct):
    tasks = make_tasks(tasks=3)
    labels = torch.where(torch.arange(15) % 4 == 0, 0, tasks.labels)
    labels[:, :5] = torch.arange(5)
    head = APE(channels=0.5, distinct=distinct).fit(tasks.support.double(), labels, 5, words=tasks.words)
    for task in range(3):
        text = tasks.words.vectors[task].double().numpy()
        samples = np.concatenate([text, unit(tasks.support[task].double().numpy())])
        classes = np.concatenate([np.arange(5), labels[task].numpy()])
        assert head.kept[task, 0].nonzero()[:, 0].tolist() == chosen(text, samples, classes, 0.5, distinct).tolist()


def test_with_all_channels_and_no_gamma_it_is_tip_adapter(make_tasks):
    tasks = make_tasks()
    ape, tip = APE(alpha=1.5, beta=3.0, gamma=0.0, channels=1.0), TipAdapter(alpha=1.5, beta=3.0)
    found, expected = (each.fit(tasks.support, tasks.labels, 5, words=tasks.words)(tasks.query) for each in (ape, tip))
    torch.testing.assert_close(found, expected)


def trained(support, labels, text, scale, learner):
    """Residual and item weights of one task, by autograd and torch's optimiser."""
    features, text = normalize(support.double(), dim=1), text.double()
    channels = chosen(text.numpy(), text.numpy(), np.arange(len(text)), learner.channels, learner.distinct)
    residual = torch.zeros(len(text), len(channels), dtype=torch.float64, requires_grad=True)
    weights = torch.ones(len(labels), 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.AdamW([residual, weights], lr=learner.rate, eps=learner.epsilon, weight_decay=learner.decay)
    steps = learner.epochs * -(-len(labels) // learner.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(learner.epochs):
        draw = torch.Generator().manual_seed(epoch)
        for items in torch.rand(len(labels), generator=draw, dtype=torch.float64).argsort().split(learner.batch):
            logits = adapted(features[items], features, labels, text, channels, residual, weights, scale, learner)
            optimiser.zero_grad()
            cross_entropy(logits, labels[items]).backward()
            optimiser.step()
            schedule.step()
    return channels, residual.detach(), weights.detach()


def adapted(query, features, labels, text, channels, residual, weights, scale, learner):
    wide = torch.zeros_like(text).index_add(1, torch.as_tensor(channels), residual)
    near = (-learner.beta * (1 - query @ (features + wide[labels]).T)).exp()
    return scale * query @ (text + wide).T + learner.alpha * near @ (one_hot(labels, len(text)) * weights)


@pytest.mark.parametrize("settings", [{"rate": 0.01}, {"rate": 0.01, "batch": 4, "channels": 0.3, "beta": 5.5}])
def test_trained_logits_are_those_of_autograd_and_torchs_adamw(make_tasks, settings):
    tasks, learner = make_tasks(), APET(**settings)
    found = learner.fit(tasks.support.double(), tasks.labels, 5, words=tasks.words)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = tasks.item(task)
        text = tasks.words.vectors[task].double()
        channels, residual, weights = trained(support, labels, text, 20.0, learner)
        features, query = normalize(support.double(), dim=1), normalize(query.double(), dim=1)
        expected = adapted(query, features, labels, text, channels, residual, weights, 20.0, learner)
        torch.testing.assert_close(found[task], expected, atol=1e-8, rtol=0)
        before = adapted(query, features, labels, text, channels, 0 * residual, 0 * weights + 1, 20.0, learner)
        assert (found[task] - before).abs().max() > 0.1


@pytest.mark.parametrize("name", ["ape", "ape-t"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, "alpha must be above zero, found 0.0"),
        ({"beta": -1.0}, "beta must be above zero, found -1.0"),
        ({"channels": 0.0}, "channels must be above zero, found 0.0"),
        ({"channels": 1.5}, "channels must be from 0 to 1, found 1.5"),
        ({"distinct": -0.1}, "distinct must be from 0 to 1, found -0.1"),
    ],
)
def test_wrong_settings_are_told(name, settings, message):
    with pytest.raises(InvalidInput, match=f"{name}: {message}"):
        create_learner(name, **settings)


def test_gamma_must_not_be_negative():
    with pytest.raises(InvalidInput, match="ape: gamma must be zero or more, found -0.1"):
        APE(gamma=-0.1)
