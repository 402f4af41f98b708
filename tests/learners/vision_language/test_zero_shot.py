from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.learners import Words, ZeroShot


@pytest.mark.parametrize(("scale", "bias"), [(100.0, 0.0), (7.5, -12.25)])
def test_a_logit_is_the_scaled_cosine_plus_the_bias(make_tasks, scale, bias):
    tasks = make_tasks()
    words = replace(tasks.words, scale=scale, bias=bias)
    found = ZeroShot().fit(tasks.support, tasks.labels, 5, words=words)(tasks.query)
    query, text = tasks.query.double().numpy(), tasks.words.vectors.double().numpy()
    cosines = np.einsum("tqd,twd->tqw", query, text) / np.linalg.norm(query, axis=2, keepdims=True)
    np.testing.assert_allclose(found, scale * cosines + bias, atol=1e-4)


def test_words_that_all_tasks_share_are_not_copied():
    words = Words(normalize(torch.rand(5, 16), dim=1))
    support = torch.rand(3, 0, 16)
    head = ZeroShot().fit(support, torch.zeros(3, 0, dtype=torch.int64), 5, words=words)
    assert head.text.stride(0) == 0
    query = torch.rand(3, 2, 16)
    torch.testing.assert_close(head(query), 100 * normalize(query, dim=2) @ words.vectors.T)


def test_the_support_does_not_count(make_tasks):
    tasks = make_tasks()
    with_images = ZeroShot().fit(tasks.support, tasks.labels, 5, words=tasks.words)(tasks.query)
    without = ZeroShot().fit(tasks.support[:, :0], tasks.labels[:, :0], 5, words=tasks.words)(tasks.query)
    assert torch.equal(with_images, without)
