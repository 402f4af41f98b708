import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from fewshot.errors import InvalidInput
from fewshot.learners import Ridge


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 50.0])
def test_outputs_are_those_of_scikit_learn(grid_tasks, bias, penalty):
    tasks = grid_tasks
    found = Ridge(penalty, bias).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        targets = np.eye(tasks.ways)[labels]
        reference = Reference(alpha=penalty, fit_intercept=bias).fit(support.astype(np.float64), targets)
        np.testing.assert_allclose(found[task], reference.predict(query).reshape(len(query), -1), atol=1e-4)


def test_without_bias_it_is_equation_5_of_the_paper(grid_tasks):
    tasks = grid_tasks
    found = Ridge(2.0, bias=False).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(len(found)):
        x, labels, query = (part.double().numpy() for part in tasks.item(task))
        y = np.eye(tasks.ways)[labels.astype(int)]
        weight = np.linalg.solve(x.T @ x + 2 * np.eye(x.shape[1]), x.T @ y)
        np.testing.assert_allclose(found[task], query @ weight, atol=1e-4)


def test_the_penalty_must_be_above_zero():
    with pytest.raises(InvalidInput, match="ridge: penalty must be above zero, found 0"):
        Ridge(0)


def test_the_scale_multiplies_the_outputs(make_tasks):
    tasks = make_tasks()
    plain, scaled = (Ridge(scale=scale).fit(tasks.support, tasks.labels, 5)(tasks.query) for scale in (1.0, 8.0))
    np.testing.assert_allclose(scaled, 8 * plain, rtol=1e-6)
    with pytest.raises(InvalidInput, match="ridge: scale must be above zero"):
        Ridge(scale=0)
