import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from svm_dual import svm_dual

from fewshot.errors import FewshotWarning, InvalidInput
from fewshot.learners import SVM
from fewshot.learners.inductive.svm import crammer_singer
from fewshot.learners.prototypes import one_hot


def reference(support, labels, query, C):
    """scikit-learn's solution in float64; it knows two classes or more."""
    ways = labels.max() + 1
    if ways == 1:
        return np.zeros((len(query), 1))
    if ways == 2:
        # its two classes share one vector w = v1 - v2, and |v1|² + |v2|² is half of |w|²: C counts double
        svm = LinearSVC(C=2 * C, loss="hinge", fit_intercept=False, tol=1e-10, max_iter=1_000_000)
        score = svm.fit(support, labels).decision_function(query)
        return np.stack([-score, score], 1) / 2
    svm = LinearSVC(C=C, multi_class="crammer_singer", fit_intercept=False, tol=1e-10, max_iter=1_000_000)
    return svm.fit(support, labels).decision_function(query)


@pytest.mark.parametrize("C", [0.01, 0.1, 10.0])
def test_scores_are_those_of_scikit_learn(grid_tasks, C):
    tasks = grid_tasks
    found = SVM(C=C).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(2):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), C)
        np.testing.assert_allclose(found[task], expected, atol=1e-3)


def test_it_solves_the_dual_problem_of_the_paper(make_tasks):
    """Equation 6, by a solver of general problems."""
    tasks = make_tasks(tasks=1, ways=3, shots=2, dim=5)
    support, labels, query = (x.numpy() for x in tasks.item(0))
    dual = svm_dual(support.astype(np.float64) @ support.T, np.eye(3)[labels], 0.5)
    expected = query @ support.T @ dual
    np.testing.assert_allclose(SVM(C=0.5).fit(tasks.support, tasks.labels, 3)(tasks.query)[0], expected, atol=1e-3)


def test_no_duality_gap_is_left(make_tasks):
    """Primal and dual objective, in float64 and one item at a time, at what the solver returns."""
    tasks = make_tasks(tasks=5, dim=32)
    x, C = tasks.support.double(), 0.3
    dual, converged = crammer_singer(x @ x.mT, one_hot(tasks.labels, 5, x), C, 10_000)
    assert converged.all()
    for task in range(5):
        labels, alpha = tasks.labels[task].tolist(), dual[task].numpy()
        weight = alpha.T @ x[task].numpy()
        primal, value = np.sum(weight**2) / 2, -np.sum(weight**2) / 2
        for item, label in enumerate(labels):
            scores = weight @ x[task, item].numpy()
            primal += C * max(scores[way] + (way != label) - scores[label] for way in range(5))
            value += alpha[item, label]
            assert alpha[item].sum() == pytest.approx(0, abs=1e-12)
            assert all(alpha[item, way] <= C * (way == label) + 1e-12 for way in range(5))
        assert primal - value == pytest.approx(0, abs=1e-6)


def test_a_task_stops_by_itself(make_tasks):
    tasks = make_tasks(tasks=2, dim=32)
    x = torch.stack([tasks.support[0] * 0.01, tasks.support[1] * 3]).double()
    y = one_hot(tasks.labels, 5, x)
    together, _ = crammer_singer(x @ x.mT, y, 1.0, 10_000)
    alone, _ = crammer_singer((x @ x.mT)[:1], y[:1], 1.0, 10_000)
    torch.testing.assert_close(together[:1], alone, atol=1e-12, rtol=0)


def test_normalize_and_scale(make_tasks):
    tasks = make_tasks()
    unit = SVM(normalize=True, scale=3.0).fit(tasks.support, tasks.labels, 5)(tasks.query)
    longer = SVM(normalize=True).fit(tasks.support * 7, tasks.labels, 5)(tasks.query * 2)
    torch.testing.assert_close(unit, 3 * longer, atol=1e-3, rtol=0)


def test_too_few_steps_are_told(make_tasks):
    tasks = make_tasks()
    with pytest.warns(FewshotWarning, match="4 of 4 tasks had not converged after 10 steps; raise steps or lower C"):
        SVM(C=100, steps=10).fit(tasks.support, tasks.labels, 5)


@pytest.mark.parametrize("setting", ["C", "scale", "steps"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"svm: {setting} must be above zero"):
        SVM(**{setting: 0})
