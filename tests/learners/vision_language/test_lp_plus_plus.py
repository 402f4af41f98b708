from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import InvalidInput
from fewshot.learners import LPPlusPlus


def reference(learner, support, labels, query, text):
    """One task in float64, by autograd, with weights in all dimensions of the features."""
    f, query = normalize(support, dim=1), normalize(query, dim=1)
    count, ways = len(f), len(text)
    rate = 4 * count / torch.linalg.matrix_norm(f, 2) ** 2
    cosines = f @ text.T
    rate_of_multipliers = count / (4 * cosines.square().sum(0).max())
    weight = torch.stack([f[labels == way].mean(0) for way in range(ways)]).requires_grad_()
    own = torch.stack([cosines[labels == way, way].mean() for way in range(ways)])
    multipliers = torch.full((ways,), learner.blend * float(own.mean()), dtype=torch.float64, requires_grad=True)
    velocity = torch.zeros_like(weight)
    for step in range(1, learner.steps + 1):
        loss = cross_entropy(f @ weight.T + multipliers * cosines, labels)
        by_weight, by_multipliers = torch.autograd.grad(loss, [weight, multipliers])
        with torch.no_grad():
            velocity = learner.momentum * velocity + by_weight
            weight -= rate * velocity
            if step % learner.every == 0:
                multipliers -= rate_of_multipliers * by_multipliers
    return (query @ weight.T + multipliers * (query @ text.T)).detach()


@pytest.mark.parametrize(
    "settings", [{}, {"steps": 25, "every": 3, "momentum": 0.0, "blend": 20.0}], ids=["paper", "others"]
)
def test_logits_are_those_of_a_plain_loop(grid_tasks, settings):
    tasks, learner = grid_tasks, LPPlusPlus(**settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, words=tasks.words)(tasks.query.double())
    for task in range(2):
        support, labels, query = (x.double() if x.is_floating_point() else x for x in tasks.item(task))
        expected = reference(learner, support, labels, query, tasks.words.vectors[task].double())
        torch.testing.assert_close(found[task], expected, atol=1e-7, rtol=1e-7)


def test_scale_and_bias_of_the_words_do_not_count(make_tasks):
    tasks = make_tasks()
    other = replace(tasks.words, scale=3.0, bias=-7.0)
    found = [LPPlusPlus().fit(tasks.support, tasks.labels, 5, words=each)(tasks.query) for each in (tasks.words, other)]
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be above zero"),
        ({"every": 0}, "every must be above zero"),
        ({"blend": 0.0}, "blend must be above zero"),
        ({"momentum": -0.1}, r"momentum must be in \[0, 1\), found -0.1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        LPPlusPlus(**settings)
