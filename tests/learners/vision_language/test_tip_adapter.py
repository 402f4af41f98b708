import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import TipAdapter, TipAdapterF, create_learner
from fewshot.learners.vision_language import cache


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)  # zeros stay zeros


def reference(support, labels, query, text, scale, alpha, beta):
    """Zhang et al. 2022, eq. 4 and 5, item by item."""
    support, query = unit(support), unit(query)
    logits = scale * query @ text.T
    for q in range(len(query)):
        for key, label in zip(support, labels, strict=True):
            logits[q, label] += alpha * np.exp(-beta * (1 - query[q] @ key))
    return logits


def trained_keys(support, labels, text, scale, alpha, beta, rate=1e-3, epochs=20, batch=256):
    """One task, by autograd and torch's optimiser; the items of an epoch in the order of random numbers by place."""
    features = normalize(support.double(), dim=1)
    keys = features.clone().requires_grad_()
    one_hot = torch.nn.functional.one_hot(labels, len(text)).double()
    optimiser = torch.optim.AdamW([keys], lr=rate, eps=1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * -(-len(labels) // batch))
    for epoch in range(epochs):
        draw = torch.Generator().manual_seed(epoch)
        for items in torch.rand(len(labels), generator=draw, dtype=torch.float64).argsort().split(batch):
            seen = features[items]
            near = (-beta * (1 - seen @ keys.T)).exp()
            loss = cross_entropy(scale * seen @ text.double().T + alpha * near @ one_hot, labels[items])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return keys.detach()


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 5.5), (3.0, 0.5)])
def test_logits_are_those_of_the_paper(grid_tasks, alpha, beta):
    tasks = grid_tasks
    found = TipAdapter(alpha, beta).fit(tasks.support, tasks.labels, tasks.ways, words=tasks.words)(tasks.query)
    for task in range(len(found)):
        support, labels, query = (part.double().numpy() for part in tasks.item(task))
        text = tasks.words.vectors[task].double().numpy()
        expected = reference(support, labels.astype(int), query, text, tasks.words.scale, alpha, beta)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("batch", [256, 4])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 5.5), (3.0, 1.0)])
def test_keys_are_those_of_autograd_and_torchs_adamw(make_tasks, alpha, beta, batch):
    tasks = make_tasks()
    learner = TipAdapterF(alpha=alpha, beta=beta, batch=batch, rate=0.01)
    head = learner.fit(tasks.support.double(), tasks.labels, 5, words=tasks.words)
    for task in range(len(head.keys)):
        support, labels, _ = tasks.item(task)
        text = tasks.words.vectors[task]
        expected = trained_keys(support, labels, text, 20.0, alpha, beta, rate=0.01, batch=batch)
        torch.testing.assert_close(head.keys[task], expected, atol=1e-9, rtol=0)
        assert (head.keys[task] - normalize(support.double(), dim=1)).abs().max() > 0.01


def test_training_raises_the_probability_of_the_labels(make_tasks):
    tasks = make_tasks(spread=1.0)

    def loss(name):
        logits = create_learner(name).fit(tasks.support, tasks.labels, 5, words=tasks.words)(tasks.support)
        return cross_entropy(logits.flatten(0, 1), tasks.labels.flatten())

    assert loss("tip-adapter-f") < 0.97 * loss("tip-adapter")


def test_queries_in_chunks_give_the_same(make_tasks, monkeypatch):
    tasks = make_tasks()
    head = TipAdapter().fit(tasks.support, tasks.labels, 5, words=tasks.words)
    together = head(tasks.query)
    monkeypatch.setattr(cache, "CHUNK_BYTES", 3 * 4 * tasks.labels.numel())  # three queries of each task
    torch.testing.assert_close(head(tasks.query), together)


@pytest.mark.parametrize("name", ["tip-adapter", "tip-adapter-f"])
@pytest.mark.parametrize("setting", ["alpha", "beta"])
def test_settings_must_be_above_zero(name, setting):
    with pytest.raises(InvalidInput, match=f"{name}: {setting} must be above zero, found 0.0"):
        create_learner(name, **{setting: 0.0})
