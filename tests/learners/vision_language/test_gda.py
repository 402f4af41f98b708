import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.errors import InvalidInput
from fewshot.learners import GDA, Words, ZeroShot


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)  # zeros stay zeros


def reference(support, labels, query, text, scale, alpha):
    """The formula as it stands, one task at a time, with the pseudo-inverse."""
    support, query = unit(support), unit(query)
    classes, (items, dim) = len(text), support.shape
    means = np.stack([support[labels == each].mean(0) for each in range(classes)])
    centred = support - means[labels]
    covariance = centred.T @ centred / max(items - 1, 1)
    precision = dim * np.linalg.pinv((items - 1) * covariance + np.trace(covariance) * np.eye(dim))
    bias = np.log(1 / classes) - np.array([mean @ precision @ mean for mean in means]) / 2
    return scale * query @ text.T + alpha * (query @ (means @ precision).T + bias)


def less_the_mean(logits):
    return logits - logits.mean(1, keepdims=True)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 10.0])
def test_logits_are_those_of_the_formula_but_for_what_is_equal_for_all_classes(grid_tasks, alpha):
    tasks, channels = grid_tasks, slice(100)  # a pseudo-inverse of all those of a real network takes seconds
    words = Words(normalize(tasks.words.vectors[..., channels], dim=2), scale=tasks.words.scale)
    support, query = tasks.support[..., channels].double(), tasks.query[..., channels].double()
    found = GDA(alpha).fit(support, tasks.labels, tasks.ways, words=words)(query)
    for task in range(len(found)):
        labels, text = tasks.labels[task].numpy(), words.vectors[task].double().numpy()
        expected = reference(support[task].numpy(), labels, query[task].numpy(), text, words.scale, alpha)
        np.testing.assert_allclose(less_the_mean(found[task].numpy()), less_the_mean(expected), atol=1e-6, rtol=1e-9)


def test_classes_of_unequal_size_and_more_items_than_channels(make_tasks):
    tasks = make_tasks(shots=12, dim=6)
    labels = torch.where(torch.arange(60) % 7 == 0, 0, tasks.labels)
    found = GDA().fit(tasks.support.double(), labels, 5, words=tasks.words)(tasks.query.double())
    text = tasks.words.vectors.double().numpy()
    for task in range(len(found)):
        support, query = tasks.support[task].double().numpy(), tasks.query[task].double().numpy()
        expected = reference(support, labels[task].numpy(), query, text[task], 20.0, 1.0)
        np.testing.assert_allclose(less_the_mean(found[task].numpy()), less_the_mean(expected), rtol=1e-9, atol=1e-9)


def test_float32_is_close_to_float64(make_tasks):
    tasks = make_tasks(shots=16, dim=64)
    found, exact = (
        GDA().fit(tasks.support.to(dtype), tasks.labels, 5, words=tasks.words)(tasks.query.to(dtype))
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(found.double(), exact, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("copies", [1, 3])
def test_where_nothing_varies_within_classes_the_words_alone_decide(make_tasks, copies):
    tasks = make_tasks(shots=1)
    support, labels = tasks.support.repeat(1, copies, 1), tasks.labels.repeat(1, copies)
    found, words = (each.fit(support, labels, 5, words=tasks.words)(tasks.query) for each in (GDA(), ZeroShot()))
    assert torch.equal(found, words)


def test_images_outweigh_misleading_words_when_alpha_is_large(make_tasks):
    tasks = make_tasks(shots=8, dim=64, spread=0.2)
    wrong = tasks.words.vectors.roll(1, 1)
    words = Words(wrong, scale=20.0)

    def accuracy(alpha):
        predicted = GDA(alpha).fit(tasks.support, tasks.labels, 5, words=words)(tasks.query).argmax(2)
        return (predicted == tasks.query_labels).float().mean()

    assert accuracy(1e-4) < 0.2
    assert accuracy(10.0) > 0.95


def test_alpha_must_be_above_zero():
    with pytest.raises(InvalidInput, match="gda: alpha must be above zero, found 0"):
        GDA(alpha=0)
