from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import CLAP, ZSLP
from fewshot.learners.vision_language.span import Span


def reference(learner, support, labels, query, start, text, scale, constrained):
    """One task in float64, by autograd and PyTorch's SGD, in all dimensions of the features."""
    support, query = normalize(support, dim=1), normalize(query, dim=1)
    ways = len(text)
    zero_shot = (scale * support @ text.T).softmax(1)
    own = torch.stack([zero_shot[labels == way, way].mean() for way in range(ways)])
    start = learner.length * start
    weight = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([weight], lr=learner.rate, momentum=learner.momentum)
    steps = [items for epoch in range(learner.epochs) for items in shuffled(len(labels), learner.batch, epoch)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(steps))
    for items in steps:
        loss = cross_entropy(scale * support[items] @ normalize(weight, dim=1).T, labels[items])
        if constrained:
            loss = loss + (own * (weight - start).square().sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return scale * query @ normalize(weight.detach(), dim=1).T


def shuffled(count, batch, epoch):
    if count <= batch:
        return [torch.arange(count)]
    draw = torch.Generator().manual_seed(epoch)
    return torch.rand(count, generator=draw, dtype=torch.float64).argsort().split(batch)


SETTINGS = [{"epochs": 40}, {"epochs": 30, "rate": 0.02, "momentum": 0.5, "length": 2.0}, {"epochs": 6, "batch": 4}]


@pytest.mark.parametrize("method", [ZSLP, CLAP])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_logits_are_those_of_a_plain_loop(grid_tasks, method, settings):
    tasks, learner = grid_tasks, method(**settings)
    words = tasks.words
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, words=words)(tasks.query.double())
    for task in range(2):
        support, labels, query = tasks.item(task)
        expected = reference(
            learner,
            support.double(),
            labels,
            query.double(),
            words.raw[task].double(),
            words.vectors[task].double(),
            words.scale,
            method is CLAP,
        )
        torch.testing.assert_close(found[task], expected, atol=1e-7, rtol=1e-7)


def test_without_raw_it_starts_at_the_vectors(make_tasks):
    tasks = make_tasks()
    words, plain = tasks.words, replace(tasks.words, raw=None)
    ones = replace(words, raw=words.vectors)
    found = [
        CLAP(epochs=20).fit(tasks.support, tasks.labels, 5, words=each)(tasks.query) for each in (plain, ones, words)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_the_constraint_keeps_vectors_nearer_to_the_words(make_tasks):
    tasks = make_tasks(tasks=8, dim=64)

    def cosine(method):
        text = method(length=1.0).fit(tasks.support, tasks.labels, 5, words=tasks.words).text
        return (text * tasks.words.vectors).sum(2).mean()

    assert cosine(ZSLP) < cosine(CLAP) - 0.05


@pytest.mark.parametrize("shape", [(3, 4, 20), (2, 9, 20), (2, 12, 8)], ids=str)
def test_coordinates_of_the_span_keep_products_and_come_back(shape):
    features, vectors = torch.randn(shape).double(), torch.randn(shape[0], 5, shape[2]).double()
    features[0, 1] = features[0, 0]  # two equal items, and one that is padding
    features[0, 2] = 0
    span = Span(features, vectors)
    few = 2 * (shape[1] + 1) <= shape[2]
    assert span.features.shape[2] == (shape[1] + 1 if few else shape[2])
    torch.testing.assert_close(span.vectors @ span.features.mT, vectors @ features.mT)
    torch.testing.assert_close(span.vectors.norm(dim=2), vectors.norm(dim=2))
    torch.testing.assert_close(span.restored(span.vectors), vectors)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, "zs-lp: rate must be above zero"),
        ({"length": -1.0}, "zs-lp: length must be above zero"),
        ({"epochs": 0}, "zs-lp: epochs must be above zero"),
        ({"batch": 0}, "zs-lp: batch must be above zero"),
        ({"momentum": 1.0}, r"zs-lp: momentum must be in \[0, 1\), found 1.0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        ZSLP(**settings)
