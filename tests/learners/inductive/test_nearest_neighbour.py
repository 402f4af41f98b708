import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from fewshot.learners import NearestNeighbour


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_predictions_are_those_of_scikit_learn(grid_tasks, metric):
    tasks = grid_tasks
    if metric == "cosine" and tasks.support.shape[2] == 1:
        pytest.skip("all cosines are equal in one dimension")
    found = NearestNeighbour(metric).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = KNeighborsClassifier(1, metric=metric).fit(support, labels).predict(query)
        np.testing.assert_array_equal(found[task].argmax(-1), expected)


def test_logits_are_the_best_of_each_class(grid_tasks):
    tasks = grid_tasks
    found = NearestNeighbour().fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(len(found)):
        support, labels, query = (x.double().numpy() for x in tasks.item(task))
        for row, x in enumerate(query):
            for way in range(tasks.ways):
                best = max(-np.sum((x - s) ** 2) for s, label in zip(support, labels, strict=True) if label == way)
                assert found[task, row, way].item() == pytest.approx(best, abs=1e-4)


def test_padding_is_no_neighbour():
    support = torch.tensor([[[5.0, 5.0], [9.0, 9.0], [0.0, 0.0]]])
    head = NearestNeighbour().fit(support, torch.tensor([[0, 1, -1]]), 2)
    assert head(torch.tensor([[[0.1, 0.1]]]))[0, 0, 0].item() == pytest.approx(-2 * 4.9**2, abs=1e-4)
