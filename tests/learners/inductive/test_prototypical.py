import numpy as np
import pytest
import torch

from fewshot.learners import Prototypical


def reference(support, labels, query, metric):
    """Equations 1 and 2, one task, one query and one class at a time."""
    logits = np.zeros((len(query), labels.max() + 1))
    for way in range(logits.shape[1]):
        members = [x for x, label in zip(support, labels, strict=True) if label == way]
        prototype = sum(members) / len(members)
        for row, x in enumerate(query):
            if metric == "euclidean":
                logits[row, way] = -np.sum((x - prototype) ** 2)
            else:
                logits[row, way] = x @ prototype / (np.linalg.norm(x) * np.linalg.norm(prototype))
    return logits


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_it_follows_the_paper(grid_tasks, metric):
    found = Prototypical(metric).fit(grid_tasks.support + 0.01, grid_tasks.labels, grid_tasks.ways)(
        grid_tasks.query + 0.01
    )
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in grid_tasks.item(task))
        expected = reference(support.astype(np.float64) + 0.01, labels, query.astype(np.float64) + 0.01, metric)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_gradients_reach_the_features(make_tasks):
    """Training a backbone through the head is what the paper does."""
    tasks = make_tasks()
    support, query = tasks.support.requires_grad_(), tasks.query.requires_grad_()
    logits = Prototypical().fit(support, tasks.labels, 5)(query)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tasks.query_labels.flatten()).backward()
    assert support.grad.abs().sum() > 0
    assert query.grad.abs().sum() > 0
    assert support.grad.isfinite().all()
    assert query.grad.isfinite().all()
