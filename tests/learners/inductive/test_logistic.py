import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fewshot.errors import FewshotWarning, InvalidInput
from fewshot.learners import Logistic
from fewshot.learners.inductive.logistic import logistic
from fewshot.learners.prototypes import one_hot


def reference(support, labels, query, C, normalize):
    """scikit-learn's solution in float64; it knows two classes or more."""
    if normalize:
        support, query = (x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12) for x in (support, query))
    if labels.max() == 0:
        return np.ones((len(query), 1))
    if labels.max() == 1:
        # two classes are fitted there with one weight vector w = (v, -v); |w|² is twice that, so C counts double
        C = 2 * C
    return LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(support, labels).predict_proba(query)


@pytest.mark.parametrize(("C", "normalize"), [(1.0, True), (0.01, True), (100.0, True), (1.0, False)])
def test_probabilities_are_those_of_scikit_learn(grid_tasks, C, normalize):
    tasks = grid_tasks
    found = Logistic(C=C, normalize=normalize).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query).softmax(-1)
    for task in range(2):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), C, normalize)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_the_solution_has_no_gradient_left(make_tasks):
    """The objective's own gradient, in float64, at what the solver returns."""
    tasks = make_tasks(tasks=10, dim=32)
    x, y = tasks.support.double(), one_hot(tasks.labels, 5, tasks.support.double())
    dual, bias, converged = logistic(x @ x.mT, y, 2.0, 1000)
    weight = (x.mT @ dual).requires_grad_()
    bias.requires_grad_()
    log_loss = -(y * (x @ weight + bias).log_softmax(-1)).sum()
    (2.0 * log_loss + weight.square().sum() / 2).backward()
    assert converged.all()
    assert weight.grad.abs().max() < 1e-4
    assert bias.grad.abs().max() < 1e-4


def test_a_task_stops_by_itself(make_tasks):
    """An easy task beside a hard one takes the steps it takes alone: bit for bit the same."""
    tasks = make_tasks(tasks=2, dim=32)
    x = torch.stack([tasks.support[0] * 0.01, tasks.support[1] * 3]).double()
    y = one_hot(tasks.labels, 5, x)
    dual, bias, _ = logistic(x @ x.mT, y, 1.0, 1000)
    alone, alone_bias, _ = logistic((x @ x.mT)[:1], y[:1], 1.0, 1000)
    torch.testing.assert_close(dual[:1], alone, atol=1e-12, rtol=0)
    torch.testing.assert_close(bias[:1], alone_bias, atol=1e-12, rtol=0)


def test_too_few_steps_are_told(make_tasks):
    tasks = make_tasks()
    with pytest.warns(FewshotWarning, match="4 of 4 tasks had not converged after 10 steps; raise steps or lower C"):
        Logistic(C=100, steps=10).fit(tasks.support, tasks.labels, 5)


@pytest.mark.parametrize(("setting", "value"), [("C", 0), ("steps", 0)])
def test_settings_must_be_above_zero(setting, value):
    with pytest.raises(InvalidInput, match=f"logistic: {setting} must be above zero"):
        Logistic(**{setting: value})
