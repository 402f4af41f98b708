"""TaskRes, CLIP-Adapter, the cross-modal linear probe and ProLIP against plain loops by autograd."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import CLIPAdapter, CrossModalLP, ProLIP, TaskRes


def descend(learner, loss, parameters):
    """Minimise a loss of the whole support with PyTorch's AdamW and cosine schedule."""
    optimiser = torch.optim.AdamW(parameters, lr=learner.rate, eps=learner.epsilon, weight_decay=learner.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, learner.epochs)
    for _ in range(learner.epochs):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()


def taskres(learner, f, labels, query, words):
    residual = torch.zeros_like(words.raw, requires_grad=True)

    def text():
        return normalize(learner.length * words.raw + learner.alpha * residual, dim=1)

    def loss():
        fit = cross_entropy(words.scale * f @ text().T, labels)
        return fit + learner.penalty / 2 * residual.square().sum()

    descend(learner, loss, [residual])
    return words.scale * query @ text().T


def clip_adapter(learner, f, labels, query, words):
    dim, draw = f.shape[1], torch.Generator().manual_seed(0)
    hidden = max(1, dim // learner.reduction)
    narrow = ((2 * torch.rand(hidden, dim, generator=draw) - 1) / sqrt(dim)).double().requires_grad_()
    widen = ((2 * torch.rand(dim, hidden, generator=draw) - 1) / sqrt(hidden)).double().requires_grad_()

    def logits(x):
        moved = ((x @ narrow.T).relu() @ widen.T).relu()
        return words.scale * normalize(learner.ratio * moved + (1 - learner.ratio) * x, dim=1) @ words.vectors.T

    descend(learner, lambda: cross_entropy(logits(f), labels), [narrow, widen])
    return logits(query)


def cross_modal(learner, f, labels, query, words):
    weight = words.vectors.clone().requires_grad_()

    def loss():
        images = cross_entropy(words.scale * f @ weight.T, labels)
        return (images + cross_entropy(words.scale * words.vectors[labels] @ weight.T, labels)) / 2

    descend(learner, loss, [weight])
    return words.scale * query @ weight.T


def prolip(learner, f, labels, query, words):
    projection = words.projection.clone().requires_grad_()
    strength = learner.penalty * len(words.vectors) / len(labels)

    def logits(x):
        return words.scale * normalize(x @ projection, dim=1) @ words.vectors.T

    def loss():
        return cross_entropy(logits(f), labels) + strength * (projection - words.projection).square().sum()

    descend(learner, loss, [projection])
    return logits(query)


CASES = [
    (TaskRes(epochs=30), taskres),
    (TaskRes(epochs=20, alpha=1.0, penalty=0.5, length=1.0, rate=0.01, decay=0.1), taskres),
    (CLIPAdapter(epochs=6), clip_adapter),
    (CLIPAdapter(epochs=5, ratio=0.6, reduction=2, rate=0.01), clip_adapter),
    (CrossModalLP(epochs=30), cross_modal),
    (CrossModalLP(epochs=20, rate=0.01, decay=0.5), cross_modal),
    (ProLIP(epochs=6), prolip),
    (ProLIP(epochs=5, rate=0.01, penalty=3.0), prolip),
]


@pytest.mark.parametrize(("learner", "reference"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_logits_are_those_of_a_plain_loop(grid_tasks, learner, reference):
    tasks, words = grid_tasks, grid_tasks.words
    dim = words.vectors.shape[2]
    if learner.needs_projection:
        draw = torch.Generator().manual_seed(0)
        words = replace(words, projection=torch.randn(dim, dim, generator=draw, dtype=torch.float64) / dim)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, words=words)(tasks.query.double())
    for task in range(2):
        support, labels, query = tasks.item(task)
        support, query = normalize(support.double(), dim=1), normalize(query.double(), dim=1)
        alone = replace(words, vectors=words.vectors[task].double(), raw=words.raw[task].double(), prompts=None)
        expected = reference(learner, support, labels, query, alone).detach()
        torch.testing.assert_close(found[task], expected, atol=1e-6, rtol=1e-6)


def test_prolip_takes_a_projection_to_fewer_dimensions(make_tasks):
    tasks = make_tasks(tasks=2, dim=12)
    projection = torch.randn(20, 12)
    wide, query = torch.randn(2, 15, 20), torch.randn(2, 20, 20)
    head = ProLIP().fit(wide, tasks.labels, 5, words=replace(tasks.words, projection=projection))
    assert head(query).shape == (2, 20, 5)
    assert head.projection.shape == (2, 20, 12)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (TaskRes, {"alpha": 0.0}, "taskres: alpha must be above zero"),
        (TaskRes, {"length": 0.0}, "taskres: length must be above zero"),
        (TaskRes, {"penalty": -1.0}, "taskres: penalty must be zero or more"),
        (CLIPAdapter, {"ratio": 1.5}, "clip-adapter: ratio must be from 0 to 1"),
        (CLIPAdapter, {"reduction": 0}, "clip-adapter: reduction must be above zero"),
        (CrossModalLP, {"rate": 0.0}, "cross-modal-lp: rate must be above zero"),
        (ProLIP, {"penalty": -1.0}, "prolip: penalty must be zero or more"),
    ],
)
def test_bad_settings_are_refused(method, settings, message):
    with pytest.raises(InvalidInput, match=message):
        method(**settings)
